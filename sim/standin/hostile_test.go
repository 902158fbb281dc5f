package standin

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// rawExchange sends bytes to the server and returns the answer, if there is
// one before the connection ends.
func rawExchange(t *testing.T, l *lab, greeted bool, data []byte, half bool) (Response, bool) {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if greeted {
		if err := writeFrame(conn, appendGreeting(nil, greeting{7, Str(l.Token()), Null})); err != nil {
			t.Fatal(err)
		}
		if _, err := readFrame(conn, MaxResponse); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = conn.Write(data) // the server may have ended the connection already
	if half {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	body, err := readFrame(conn, MaxResponse)
	if err != nil {
		return Response{}, false
	}
	resp, err := parseResponse(body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the connection goes on: %v", err)
	}
	return resp, true
}

func frame(payload []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

func TestHostileClientsAreRefusedWithAReason(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	good, err := appendRequest(nil, &Request{Function: "HcnEnumerateNetworks", Texts: texts("")})
	if err != nil {
		t.Fatal(err)
	}
	// withText is the good request with other bytes as its text.
	withText := func(raw ...byte) []byte {
		b := good[:len(good)-4]
		return append(binary.LittleEndian.AppendUint32(append([]byte{}, b...), uint32(len(raw))), raw...)
	}
	name := append([]byte{}, good...)
	name[33] = 0xFF // the first letter of the function, as it occurs in broken UTF-8
	many := append([]byte{}, good[:len(good)-5]...)
	tests := []struct {
		name    string
		greeted bool
		data    []byte
		code    hcn.Code
		want    string
	}{
		{"a wrong token", false, frame(appendGreeting(nil, greeting{1, Str("x"), Null})), accessDenied, "token"},
		{"no token", false, frame(appendGreeting(nil, greeting{1, Null, Null})), accessDenied, "token"},
		{"an unknown host", false, frame(appendGreeting(nil, greeting{1, Str(l.Token()), Str("h9")})), hcn.ErrElementNotFound, "h9"},
		{"another protocol", false, []byte("GET / HTTP/1.1\r\n\r\n"), hcn.ErrInvalidParameter, "at most 4096"},
		{"a greeting without magic", false, frame([]byte("HNS2 and more")), hcn.ErrInvalidParameter, "begin with HNS1"},
		{"a frame of 100 MB", true, binary.LittleEndian.AppendUint32(nil, 100<<20), hcn.ErrInvalidParameter, "104857600 bytes"},
		{"the longest length", true, binary.LittleEndian.AppendUint32(nil, 1<<32-1), hcn.ErrInvalidParameter, "at most"},
		{"an empty frame", true, frame(nil), hcn.ErrInvalidParameter, "within the handle"},
		{"a request cut short", true, frame(good[:20]), hcn.ErrInvalidParameter, "within the GUID"},
		{"a name in broken UTF-8", true, frame(name), hcn.ErrInvalidParameter, "0xff"},
		{"bytes after the request", true, frame(append(append([]byte{}, good...), 1, 2)), hcn.ErrInvalidParameter, "2 bytes follow"},
		{"a text longer than its frame", true, frame(append(append([]byte{}, good[:len(good)-4]...), 0xF0, 0, 0, 0)), hcn.ErrInvalidParameter, "within text 1"},
		{"too many texts", true, frame(append(many, 200)), hcn.ErrInvalidParameter, "200 texts"},
		{"an odd text", true, frame(withText('a')), hcn.ErrInvalidParameter, "odd"},
		{"half a pair", true, frame(withText(0x00, 0xD8, 'a', 0)), hcn.ErrInvalidParameter, "half a pair"},
		{"half a pair at the end", true, frame(withText(0x00, 0xD8)), hcn.ErrInvalidParameter, "half a pair"},
		{"a NUL", true, frame(withText('a', 0, 0, 0)), hcn.ErrInvalidParameter, "NUL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, ok := rawExchange(t, l, tt.greeted, tt.data, false)
			if !ok {
				t.Fatal("no answer")
			}
			if hcn.Code(resp.HResult) != tt.code || !strings.Contains(resp.Texts[1].Value, tt.want) {
				t.Errorf("0x%08x %s", resp.HResult, resp.Texts[1].Value)
			}
		})
	}
	t.Run("a frame that stops", func(t *testing.T) {
		if resp, ok := rawExchange(t, l, true, frame(good)[:10], true); ok {
			t.Errorf("answered 0x%08x", resp.HResult)
		}
	})
	l.client(1).must(Request{Function: "HcnEnumerateNetworks", Texts: texts("")})
}

func TestHostileDocumentsAreRefusedAndTheConnectionGoesOn(t *testing.T) {
	c := newLab(t, hcn.WS2025).client(1)
	deep := strings.Repeat(`{"a":`, 100000) + "1" + strings.Repeat("}", 100000)
	for _, doc := range []string{deep, strings.Repeat("[", 1<<20), `{"Name":"` + strings.Repeat("x", 4<<20), "nul"} {
		c.mustFail(hcn.ErrInvalidJSON, Request{Function: "HcnCreateNetwork", Texts: texts(doc)})
	}
	if got := c.must(Request{Function: "HcnEnumerateNetworks", Texts: []Text{Null}}).Texts[0].Value; got != "[]" {
		t.Errorf("a NULL query: %s", got)
	}
}

func TestASilentClientIsDisconnected(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	s, err := Listen(Config{Hosts: []Host{{"h1", l.service}}, GreetingTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve()
	defer s.Close()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestASlowFrameEndsTheConnection(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	s := l.start(Config{FrameTimeout: 20 * time.Millisecond})
	c, err := Dial(s.Addr(), s.Token(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.Sleep(50 * time.Millisecond) // silence between frames is nothing
	(&client{c, t}).must(Request{Function: "HcnEnumerateNetworks", Texts: texts("")})
	_ = c.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.conn.Write([]byte{100, 0, 0, 0, 1, 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v", err)
	}
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	if free := s.budget.free; free != DefaultInFlight {
		t.Errorf("%d bytes in flight are not given back", DefaultInFlight-free)
	}
}

func TestOnlyLoopbackIsListenedOn(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	for _, addr := range []string{"0.0.0.0:0", "10.0.0.1:80", ":80", "localhost:80", "127.0.0.1"} {
		if s, err := Listen(Config{Hosts: l.cfg.Hosts, Listen: addr}); err == nil {
			s.Close()
			t.Errorf("listens on %s", addr)
		}
	}
}

// FuzzFrames feeds the parsers of all three kinds of frames. What they accept
// must come out the same when it is written again.
func FuzzFrames(f *testing.F) {
	req, _ := appendRequest(nil, &Request{Function: "HcnOpenNetwork", Handle: 16, GUID: guid(unknownID), Texts: []Text{Str("a€𐍈"), Null}})
	f.Add(req)
	f.Add(appendGreeting(nil, greeting{1, Str("token"), Null}))
	f.Add(appendResponse(nil, &Response{HResult: 0x803B0001, Texts: []Text{Null, Str("{}")}}))
	f.Add(binary.LittleEndian.AppendUint32(nil, 1<<31))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRequest(b); err == nil {
			if again, err := appendRequest(nil, &r); err != nil || !bytes.Equal(again, b) {
				t.Errorf("request %x became %x, %v", b, again, err)
			}
		}
		if g, err := parseGreeting(b); err == nil && !bytes.Equal(appendGreeting(nil, g), b) {
			t.Errorf("greeting %x changed", b)
		}
		if r, err := parseResponse(b); err == nil && !bytes.Equal(appendResponse(nil, &r), b) {
			t.Errorf("response %x changed", b)
		}
		// Whatever is no HTTP is left to the parser of greetings, which says why.
		first, http, err := sniff(&scripted{Reader: bytes.NewReader(b)})
		if err == nil && http && binary.LittleEndian.Uint32(first) <= MaxGreeting {
			t.Errorf("%q is the length of a greeting and is taken for HTTP", first)
		}
		if body, err := readFrame(bytes.NewReader(b), 1<<20); err == nil && len(body) > len(b) {
			t.Errorf("a frame of %d bytes out of %d", len(body), len(b))
		}
	})
}

// scripted is a connection that only is read from.
type scripted struct {
	net.Conn
	*bytes.Reader
}

func (s *scripted) Read(b []byte) (int, error) { return s.Reader.Read(b) }
