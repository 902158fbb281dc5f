package transport

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// joinRequest is the one line that an agent sends, joinAnswer the one that it
// gets. Both fit into maxJoin.
type joinRequest struct {
	Token string `json:"token"`
	Agent string `json:"agent"`
	CSR   []byte `json:"csr"`
}

type joinAnswer struct {
	Refused string `json:"refused,omitempty"`
	Cert    []byte `json:"cert,omitempty"`
	CA      []byte `json:"ca,omitempty"`
}

const (
	maxJoin     = 16 << 10
	joinTimeout = 10 * time.Second
	maxJoiners  = 16 // at a time; more wait in the kernel's queue
)

// joins answers agents that want to join.
type joins struct {
	authority *Authority
	ln        net.Listener
	wg        sync.WaitGroup
	expects   func(agent string) error
	note      func(string)
}

func (a *Authority) serveJoins(ln net.Listener, expects func(agent string) error, note func(string)) (*joins, error) {
	cfg, err := a.serverTLS(false)
	if err != nil {
		return nil, err
	}
	j := &joins{authority: a, ln: tls.NewListener(ln, cfg), expects: expects, note: note}
	slots := make(chan struct{}, maxJoiners)
	j.wg.Go(func() {
		for {
			slots <- struct{}{}
			c, err := j.ln.Accept()
			if err != nil {
				return
			}
			j.wg.Go(func() {
				defer func() { <-slots }()
				j.answer(c)
			})
		}
	})
	return j, nil
}

func (j *joins) close() {
	j.ln.Close()
	j.wg.Wait()
}

func (j *joins) answer(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(joinTimeout))
	var req joinRequest
	if err := readLine(c, &req); err != nil {
		return // a port scan, or an agent that found the wrong coordinator
	}
	var out joinAnswer
	err := j.authority.admit(req.Token, req.Agent)
	if err == nil {
		err = j.expects(req.Agent)
	}
	if err == nil {
		out.CA = j.authority.cert.Raw
		out.Cert, err = j.authority.sign(req.Agent, req.CSR)
	}
	if err != nil {
		out = joinAnswer{Refused: err.Error()}
		j.note(fmt.Sprintf("agent %q at %s was refused: %v", req.Agent, c.RemoteAddr(), err))
	} else {
		j.note(fmt.Sprintf("agent %s at %s joined", req.Agent, c.RemoteAddr()))
	}
	_ = writeLine(c, out)
}

func readLine(r io.Reader, v any) error {
	line, err := bufio.NewReader(io.LimitReader(r, maxJoin)).ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

func writeLine(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}

// Join gets a certificate for an agent from the coordinator's join address and
// keeps it in a folder. A *Refused is final; other errors may pass.
func Join(ctx context.Context, address, text, name, dir string) (*Identity, error) {
	t, _, _, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	if err := CheckName(name); err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, err
	}
	answer, err := askToJoin(ctx, address, t, joinRequest{text, name, csr})
	if err != nil {
		return nil, errJoin(address, err)
	}
	leaf, err := x509.ParseCertificate(answer.Cert)
	if err != nil {
		return nil, errJoin(address, err)
	}
	ca, err := x509.ParseCertificate(answer.CA)
	if err != nil {
		return nil, errJoin(address, err)
	}
	if string(sum(ca.Raw)) != string(t.Authority) {
		return nil, errJoin(address, refused("the answer is of another authority than the token"))
	}
	id, err := newIdentity(leaf, key, ca)
	if err != nil {
		return nil, errJoin(address, err)
	}
	return id, saveIdentity(dir, answer.Cert, answer.CA, key)
}

func askToJoin(ctx context.Context, address string, t token, req joinRequest) (*joinAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	// The chain is checked against the authority in the token: there is nothing
	// else yet that could be trusted.
	d := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS13, ServerName: serverName, InsecureSkipVerify: true, VerifyConnection: checkAuthority(t)}}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	end, _ := ctx.Deadline()
	_ = c.SetDeadline(end)
	if err := writeLine(c, req); err != nil {
		return nil, err
	}
	var out joinAnswer
	if err := readLine(c, &out); err != nil {
		return nil, err
	}
	if out.Refused != "" {
		return nil, &Refused{out.Refused}
	}
	if len(out.Cert) == 0 || len(out.CA) == 0 {
		return nil, errors.New("the answer has no certificate")
	}
	return &out, nil
}
