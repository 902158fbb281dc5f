package standin

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

const (
	natDoc      = `{"Name":"nat","Type":"NAT","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"192.168.0.0/16","Routes":[{"NextHop":"192.168.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}],"SchemaVersion":{"Major":2,"Minor":0}}`
	endpointDoc = `{"Name":"e","SchemaVersion":{"Major":2,"Minor":0}}`
	v2Query     = `{"SchemaVersion":{"Major":2,"Minor":0}}`
	unknownID   = "11111111-2222-4333-8444-555555555555"
)

// lab is a running server with one host.
type lab struct {
	*Server
	t       *testing.T
	service *hns.Service
}

func newLab(t *testing.T, profile string) *lab {
	t.Helper()
	l := &lab{t: t}
	var err error
	l.service, err = hns.New(hns.Config{
		HostName: "h1", Profile: hcn.MustProfile(profile), Seed: 1,
		Uplinks: []hns.Uplink{{Name: "Ethernet", MAC: [6]byte{0, 0x15, 0x5D, 1, 2, 3}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.127.130.35/24")}}},
		Notify:  func(n hns.Notification) { l.Server.Notify("h1", n) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.Server, err = Listen(Config{Hosts: []Host{{"h1", l.service}}}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Serve() }()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l
}

// client is a connection whose calls must not fail as connections.
type client struct {
	*Client
	t testing.TB
}

func (l *lab) client(session uint64) *client {
	l.t.Helper()
	c, err := Dial(l.Addr(), l.Token(), "", session)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	return &client{c, l.t}
}

func guid(s string) (g [16]byte) {
	raw, _ := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if len(raw) == 16 {
		copy(g[:], raw)
		binary.LittleEndian.PutUint32(g[:], binary.BigEndian.Uint32(raw))
		binary.LittleEndian.PutUint16(g[4:], binary.BigEndian.Uint16(raw[4:]))
		binary.LittleEndian.PutUint16(g[6:], binary.BigEndian.Uint16(raw[6:]))
	}
	return g
}

func texts(list ...string) []Text {
	out := []Text{}
	for _, s := range list {
		out = append(out, Str(s))
	}
	return out
}

func (c *client) do(r Request) Response {
	c.t.Helper()
	resp, err := c.Call(r)
	if err != nil {
		c.t.Fatalf("%s: %v", r.Function, err)
	}
	return resp
}

// must wants success and returns the response.
func (c *client) must(r Request) Response {
	c.t.Helper()
	resp := c.do(r)
	if resp.HResult != 0 || !resp.Texts[1].Null {
		c.t.Fatalf("%s: 0x%08x %s", r.Function, resp.HResult, resp.Texts[1].Value)
	}
	return resp
}

func (c *client) mustFail(code hcn.Code, r Request) {
	c.t.Helper()
	if resp := c.do(r); hcn.Code(resp.HResult) != code {
		c.t.Errorf("%s: 0x%08x %s, want %v", r.Function, resp.HResult, resp.Texts[1].Value, code)
	}
}
