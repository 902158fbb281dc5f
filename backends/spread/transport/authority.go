package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Authority is what a coordinator keeps in its folder: a certificate authority
// for its own certificate and those of the agents, and the key of its tokens.
// Its methods may be called concurrently.
type Authority struct {
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	secret []byte
	now    func() time.Time
}

const (
	authorityYears = 10
	agentDays      = 90
	// backdated is how far clocks may be apart before a fresh certificate is
	// not valid yet.
	backdated = time.Hour
	// serverName stands in the coordinator's certificate, so that agents know
	// it under whatever address they reach it.
	serverName = "hnsim-coordinator"
)

const (
	authorityCert  = "ca.pem"
	authorityKey   = "ca-key.pem"
	tokenKey       = "token-key"
	tokenKeyLength = 32
)

// OpenAuthority reads the authority in a folder, and makes it if the folder has
// none.
func OpenAuthority(dir string, now func() time.Time) (*Authority, error) {
	a := &Authority{now: now}
	if _, err := os.Stat(filepath.Join(dir, authorityCert)); errors.Is(err, os.ErrNotExist) {
		if err := a.create(dir); err != nil {
			return nil, fmt.Errorf("a new authority in %s: %w", dir, err)
		}
	}
	var err error
	if a.cert, err = readCert(filepath.Join(dir, authorityCert)); err != nil {
		return nil, err
	}
	if a.key, err = readKey(filepath.Join(dir, authorityKey)); err != nil {
		return nil, err
	}
	if a.secret, err = os.ReadFile(filepath.Join(dir, tokenKey)); err != nil {
		return nil, err
	}
	if len(a.secret) != tokenKeyLength {
		return nil, fmt.Errorf("%s has %d bytes, expected %d: remove %s to begin anew (agents must then join again)",
			filepath.Join(dir, tokenKey), len(a.secret), tokenKeyLength, dir)
	}
	if !a.key.PublicKey.Equal(a.cert.PublicKey) {
		return nil, fmt.Errorf("%s and %s do not belong together: remove %s to begin anew", authorityCert, authorityKey, dir)
	}
	return a, nil
}

func (a *Authority) create(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t, err := a.template("hnsim test bed", time.Duration(authorityYears)*365*24*time.Hour)
	if err != nil {
		return err
	}
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret := make([]byte, tokenKeyLength)
	rand.Read(secret)
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	// The certificate is last: it says that the others are there.
	return errors.Join(
		writePrivate(filepath.Join(dir, tokenKey), secret),
		writePrivate(filepath.Join(dir, authorityKey), keyPEM),
		writePrivate(filepath.Join(dir, authorityCert), encodeCert(der)))
}

// template of a certificate that is valid from now.
func (a *Authority) template(name string, valid time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := a.now()
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-backdated), NotAfter: now.Add(valid)}, nil
}

// fingerprint names the authority.
func (a *Authority) fingerprint() [sha256.Size]byte { return sha256.Sum256(a.cert.Raw) }

// serverTLS makes a certificate for the coordinator. Agents must show theirs if
// mutual is set.
func (a *Authority) serverTLS(mutual bool) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t, err := a.template(serverName, agentDays*24*time.Hour)
	if err != nil {
		return nil, err
	}
	t.DNSNames, t.ExtKeyUsage = []string{serverName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, Time: a.now,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}}}
	if mutual {
		cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, a.pool()
	}
	return cfg, nil
}

func (a *Authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// sign makes an agent's certificate of its request. The name is the token's or
// the agent's own, not what the request says.
func (a *Authority) sign(name string, csr []byte) ([]byte, error) {
	req, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("the certificate request cannot be read: %w", err)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the certificate request is not signed by its key: %w", err)
	}
	t, err := a.template(name, agentDays*24*time.Hour)
	if err != nil {
		return nil, err
	}
	t.ExtKeyUsage, t.KeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, x509.KeyUsageDigitalSignature
	return x509.CreateCertificate(rand.Reader, t, a.cert, req.PublicKey, a.key)
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// writePrivate writes a file in one step, for its owner only.
func writePrivate(name string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".hnsim-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

func readPEM(name, kind string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s: expected a PEM block %q", name, kind)
	}
	return block.Bytes, nil
}

func readCert(name string) (*x509.Certificate, error) {
	der, err := readPEM(name, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

func readKey(name string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(name, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: expected an ECDSA key, found %T", name, k)
	}
	return key, nil
}
