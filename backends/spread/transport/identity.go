package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Identity is what an agent keeps: its certificate, key, and the authority that
// it joined.
type Identity struct {
	Name string
	cert tls.Certificate
	leaf *x509.Certificate
	ca   *x509.Certificate
}

// The files of an agent's folder.
const (
	agentCert = "agent.pem"
	agentKey  = "agent-key.pem"
)

// LoadIdentity reads an agent's folder. errors.Is(err, os.ErrNotExist) means
// that it has not joined yet.
func LoadIdentity(dir string) (*Identity, error) {
	leaf, err := readCert(filepath.Join(dir, agentCert))
	if err != nil {
		return nil, err
	}
	key, err := readKey(filepath.Join(dir, agentKey))
	if err != nil {
		return nil, err
	}
	ca, err := readCert(filepath.Join(dir, authorityCert))
	if err != nil {
		return nil, err
	}
	return newIdentity(leaf, key, ca)
}

func newIdentity(leaf *x509.Certificate, key *ecdsa.PrivateKey, ca *x509.Certificate) (*Identity, error) {
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return nil, errors.New("certificate and key do not belong together")
	}
	return &Identity{Name: leaf.Subject.CommonName, leaf: leaf, ca: ca,
		cert: tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}}, nil
}

// Expired reports whether the certificate is over, and when it is.
func (id *Identity) Expired(now time.Time) (bool, time.Time) {
	return now.After(id.leaf.NotAfter), id.leaf.NotAfter
}

// Of reports whether the identity is of the authority that made a token.
func (id *Identity) Of(text string) bool {
	t, _, _, err := parseToken(text)
	return err == nil && string(t.Authority) == string(sum(id.ca.Raw))
}

func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}

func (id *Identity) clientTLS() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(id.ca)
	return &tls.Config{MinVersion: tls.VersionTLS13, ServerName: serverName, RootCAs: pool, Certificates: []tls.Certificate{id.cert}}
}

// save writes the folder. The certificate is last: it says that the agent has
// joined.
func saveIdentity(dir string, leaf, ca []byte, key *ecdsa.PrivateKey) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writePrivate(filepath.Join(dir, authorityCert), encodeCert(ca)),
		writePrivate(filepath.Join(dir, agentKey), keyPEM),
		writePrivate(filepath.Join(dir, agentCert), encodeCert(leaf)))
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// checkAuthority is how an agent that knows nothing but a token recognises the
// coordinator: by the authority that the token names.
func checkAuthority(t token) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		for _, c := range cs.PeerCertificates[1:] {
			if string(sum(c.Raw)) != string(t.Authority) {
				continue
			}
			pool := x509.NewCertPool()
			pool.AddCert(c)
			_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: serverName})
			return err
		}
		return refused("the join token is wrong: it was not made by the coordinator that answers here")
	}
}

// describe says in words why a connection of this agent is refused for good, or
// returns nil for trouble that may pass.
func describe(err error, coordinator, dir string) error {
	if err == nil {
		return nil
	}
	var unknown x509.UnknownAuthorityError
	var verify *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown), errors.As(err, &verify):
		return refused("the coordinator at %s is not the one that this agent joined (%v): remove %s and join again with a token", coordinator, err, dir)
	case strings.Contains(err.Error(), "remote error: tls:"): // the type of alerts is not exported
		return refused("the coordinator at %s refuses this agent's certificate (%v): remove %s and join again with a token", coordinator, err, dir)
	}
	return nil
}

// errJoin marks what happened while joining.
func errJoin(coordinator string, err error) error {
	return fmt.Errorf("joining the coordinator at %s: %w", coordinator, err)
}
