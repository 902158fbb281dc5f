package transport

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestTokensThatAreNotGoodAreRefused(t *testing.T) {
	a := mkAuthority(t)
	now := time.Now()
	late := *a
	late.now = func() time.Time { return now.Add(-2 * time.Hour) }
	good, _ := a.Token("", time.Hour)
	other, _ := mkAuthority(t).Token("", time.Hour)
	expired, _ := late.Token("", time.Hour)
	foreign, _ := a.Token("a2", time.Hour)
	body, seal, _ := strings.Cut(good, ".")
	body2, seal2, _ := strings.Cut(seal, ".")
	h := mkHub(t, a, "127.0.0.1:0", time.Second)
	for _, c := range []struct{ name, token, agent, want string }{
		{"of another coordinator", other, "a1", "was not made by the coordinator that answers here"},
		{"with another seal", body + "." + body2 + "." + strings.Repeat("A", len(seal2)), "a1", "the join token is wrong"},
		{"expired", expired, "a1", "the join token has expired"},
		{"for another agent", foreign, "a1", "the join token is for agent a2, this is a1"},
		{"half", good[:len(good)/2], "a1", "this is no join token"},
		{"damaged", good[:20] + "!" + good[21:], "a1", "damaged"},
		{"a word", "please", "a1", "this is no join token"},
		{"a name that cannot be", good, "a.b", `agent name "a.b"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "agent")
			_, err := Join(context.Background(), h.JoinAddr(), c.token, c.agent, dir)
			var refused *Refused
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a refusal with %q", err, c.want)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("the agent keeps something")
			}
		})
	}
	if _, err := Join(context.Background(), h.JoinAddr(), good, "a1", filepath.Join(t.TempDir(), "agent")); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestAnAgentWithoutAPlaceIsRefused(t *testing.T) {
	a := mkAuthority(t)
	any := mkHub(t, a, "127.0.0.1:0", time.Second)
	id := mkIdentity(t, any, a, "zz")
	h, err := Listen(HubConfig{Listen: "127.0.0.1:0", Join: "127.0.0.1:0", Authority: a, Agents: []string{"a1", "a2"},
		Patience: time.Second, Version: "test", Note: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	const want = `no agent "zz"; it has a1, a2`
	var refused *Refused
	token, _ := a.Token("", time.Hour)
	if _, err := Join(context.Background(), h.JoinAddr(), token, "zz", t.TempDir()); !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
		t.Errorf("joining: %v, want a refusal with %q", err, want)
	}
	_, ended := mkAgent(t, h.Addr(), id, &recorder{})
	select {
	case err := <-ended:
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("with a certificate: %v, want a refusal with %q", err, want)
		}
	case <-time.After(10 * time.Second):
		t.Error("an agent that nobody waits for waits")
	}
	if h.Peer("zz") != nil {
		t.Error("it is a peer")
	}
}

func TestACertificateOfAnotherAuthorityIsRefused(t *testing.T) {
	a, b := mkAuthority(t), mkAuthority(t)
	ha, hb := mkHub(t, a, "127.0.0.1:0", time.Second), mkHub(t, b, "127.0.0.1:0", time.Second)
	id := mkIdentity(t, ha, a, "a1")
	_, ended := mkAgent(t, hb.Addr(), id, &recorder{})
	select {
	case err := <-ended:
		var refused *Refused
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "is not the one that this agent joined") {
			t.Errorf("error %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the agent goes on")
	}
	if hb.Peer("a1") != nil {
		t.Error("it was let in")
	}
}

func TestNobodyConnectsWithoutACertificate(t *testing.T) {
	a := mkAuthority(t)
	h := mkHub(t, a, "127.0.0.1:0", time.Second)
	id := mkIdentity(t, h, a, "a1")
	cfg := id.clientTLS()
	cfg.Certificates = nil
	if nc, err := nats.Connect("tls://"+h.Addr(), nats.Secure(cfg)); err == nil {
		nc.Close()
		t.Error("a client without a certificate was let in")
	}
	if nc, err := nats.Connect("nats://" + h.Addr()); err == nil {
		nc.Close()
		t.Error("a client without TLS was let in")
	}
}

func TestDamagedAuthoritiesAreNotUsed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	if _, err := OpenAuthority(dir, time.Now); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "ca")
	if _, err := OpenAuthority(other, time.Now); err != nil {
		t.Fatal(err)
	}
	key, _ := os.ReadFile(filepath.Join(other, authorityKey))
	for _, c := range []struct{ name, file, text, want string }{
		{"another key", authorityKey, string(key), "do not belong together"},
		{"no PEM", authorityCert, "hello", "expected a PEM block"},
		{"a short key of tokens", tokenKey, "short", "expected 32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := filepath.Join(dir, c.file)
			was, _ := os.ReadFile(name)
			defer os.WriteFile(name, was, 0o600)
			if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenAuthority(dir, time.Now); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func FuzzToken(f *testing.F) {
	a, err := OpenAuthority(filepath.Join(f.TempDir(), "ca"), time.Now)
	if err != nil {
		f.Fatal(err)
	}
	good, _ := a.Token("a1", time.Hour)
	f.Add(good)
	f.Add("hnsim1.e30.AAAA")
	f.Add("hnsim1..")
	f.Fuzz(func(t *testing.T, text string) {
		if a.admit(text, "a1") == nil && strings.TrimSpace(text) != good {
			// Base64 without padding has one spelling only, so that nothing
			// else can be a token.
			body, _, seal, err := parseToken(text)
			t.Errorf("%q was let in: %v %x %v", text, body, seal, err)
		}
	})
}
