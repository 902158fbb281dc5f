package transport

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// tokenPrefix begins every token, with the version of its format.
const tokenPrefix = "hnsim1."

// token is what a join token says. It is not secret by itself: the signature
// behind it is what an agent presents.
type token struct {
	Authority []byte `json:"ca"`            // SHA-256 of the authority's certificate
	Expires   int64  `json:"exp"`           // seconds since 1970
	Agent     string `json:"for,omitempty"` // the only agent that may use it
}

// Refused is a coordinator's no to an agent. Trying again does not help.
type Refused struct{ Msg string }

func (e *Refused) Error() string { return e.Msg }

func refused(format string, args ...any) error { return &Refused{fmt.Sprintf(format, args...)} }

// Token makes a join token that is valid for a time, for one agent or, without
// a name, for any.
func (a *Authority) Token(agent string, valid time.Duration) (string, error) {
	if agent != "" {
		if err := CheckName(agent); err != nil {
			return "", err
		}
	}
	fp := a.fingerprint()
	body, err := json.Marshal(token{fp[:], a.now().Add(valid).Unix(), agent})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	return tokenPrefix + text + "." + base64.RawURLEncoding.EncodeToString(a.seal(text)), nil
}

func (a *Authority) seal(text string) []byte {
	h := hmac.New(sha256.New, a.secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// parseToken reads what a token says; whether that is true only the authority
// knows.
func parseToken(text string) (t token, body string, seal []byte, err error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	body, sum, two := strings.Cut(rest, ".")
	if !ok || !two {
		return t, "", nil, refused("this is no join token: expected %s... as printed by `hnsim agent token`", tokenPrefix)
	}
	// One spelling only: what is not as it was printed is damaged.
	enc := base64.RawURLEncoding.Strict()
	raw, err := enc.DecodeString(body)
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	if err == nil {
		seal, err = enc.DecodeString(sum)
	}
	if err != nil || len(t.Authority) != sha256.Size {
		return t, "", nil, refused("the join token is damaged: copy it whole, as printed by `hnsim agent token`")
	}
	return t, body, seal, nil
}

// admit decides whether an agent may join with a token.
func (a *Authority) admit(text, agent string) error {
	if err := CheckName(agent); err != nil {
		return err
	}
	t, body, seal, err := parseToken(text)
	if err != nil {
		return err
	}
	fp := a.fingerprint()
	const anew = "make one with `hnsim agent token` on the coordinator"
	switch {
	case !hmac.Equal(t.Authority, fp[:]) || !hmac.Equal(seal, a.seal(body)):
		return refused("the join token is wrong: it was not made by this coordinator; %s", anew)
	case a.now().Unix() >= t.Expires:
		return refused("the join token has expired (%s); %s", time.Unix(t.Expires, 0).UTC().Format(time.RFC3339), anew)
	case t.Agent != "" && t.Agent != agent:
		return refused("the join token is for agent %s, this is %s; %s", t.Agent, agent, anew)
	}
	return nil
}

// maxName bounds names of agents.
const maxName = 40

// CheckName says what is wrong with an agent's name. Names stand in subjects.
func CheckName(name string) error {
	ok := name != "" && len(name) <= maxName
	for _, c := range name {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if !ok {
		return refused("agent name %q: expected 1 to %d letters, digits, - and _", name, maxName)
	}
	return nil
}
