package rest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/standin"
)

// raw sends bytes as they are and reads the answer.
func (l *lab) raw(request io.Reader) (*http.Response, error) {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.st.Addr())
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(conn, request) // the server may have had enough
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		conn.Close()
	}
	return resp, err
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestWhatIsTooLargeIsNotRead(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	auth := "Authorization: Bearer " + l.st.Token() + "\r\nHost: x\r\n"
	post := "POST /v1/networks HTTP/1.1\r\n" + auth
	for _, tt := range []struct {
		name   string
		req    io.Reader
		status int
		want   string
	}{
		{"100 MB that are announced", io.MultiReader(strings.NewReader(post+fmt.Sprintf("Content-Length: %d\r\n\r\n", 100<<20)), io.LimitReader(zeros{}, 1<<20)), 413, "longer than 16777216 bytes"},
		{"100 MB in chunks", io.MultiReader(strings.NewReader(post+"Transfer-Encoding: chunked\r\n\r\n6400000\r\n"), io.LimitReader(zeros{}, 100<<20)), 413, "longer than 16777216 bytes"},
		{"a flood of headers", strings.NewReader("GET / HTTP/1.1\r\n" + auth + strings.Repeat("X-Flood: "+strings.Repeat("x", 1000)+"\r\n", 1000) + "\r\n"), 431, ""},
		{"a URL without end", strings.NewReader("GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\n" + auth + "\r\n"), 431, ""},
		{"no HTTP", strings.NewReader("get it\r\n\r\n"), 400, ""},
		{"a length that is none", strings.NewReader(post + "Content-Length: many\r\n\r\n"), 400, ""},
		{"a negative length", strings.NewReader(post + "Content-Length: -1\r\n\r\n"), 400, ""},
		{"two lengths", strings.NewReader(post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := l.raw(tt.req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
			if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.want) {
				t.Errorf("%s: %s", resp.Status, body)
			}
		})
	}
	l.must(http.StatusOK, "GET", "/v1/networks", "")
	if len(l.calls) != 1 {
		t.Errorf("%d calls were carried out, one is right", len(l.calls))
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	l := newLab(t, hcn.WS2025, func(s *Server) {
		s.http.ReadHeaderTimeout, s.http.ReadTimeout = 50*time.Millisecond, 100*time.Millisecond
	})
	for name, request := range map[string]string{
		"half a header": "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"half a body":   "POST /v1/networks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + l.st.Token() + "\r\nContent-Length: 100\r\n\r\n{",
	} {
		start := time.Now()
		hang, let := io.Pipe()
		resp, err := l.raw(io.MultiReader(strings.NewReader(request), hang))
		if err == nil && resp.StatusCode < 400 {
			t.Errorf("%s: %s", name, resp.Status)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: cut off after %v", name, took)
		}
		let.Close()
	}
	l.must(http.StatusOK, "GET", "/v1/networks", "")
}

func TestBodiesInFlightAreBounded(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	// The default is 16 of the longest. They are reserved here and not read.
	for range standin.DefaultInFlight / standin.MaxRequest {
		if err := l.st.Reserve(standin.MaxRequest); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan int, 1)
	go func() {
		status, _, _ := l.send("POST", "/v1/networks", natDoc)
		done <- status
	}()
	select {
	case status := <-done:
		t.Errorf("read with nothing free: %d", status)
	case <-time.After(50 * time.Millisecond):
	}
	l.st.Release(standin.MaxRequest)
	if status := <-done; status != http.StatusCreated {
		t.Error(status)
	}
}

// FuzzRequests sends any request to a populated service: the answer is of HTTP,
// is JSON where it is a refusal, and no fault of the server.
func FuzzRequests(f *testing.F) {
	for _, s := range [][3]string{
		{"POST", "/v1/networks", natDoc},
		{"POST", "/v1/endpoints?network=" + unknownID, `{"Policies":[{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80}}]}`},
		{"PATCH", "/v1/networks/" + unknownID, `{"ResourceType":"Policy","RequestType":"Add","Settings":{"Policies":[{"Type":"ProviderAddress"}]}}`},
		{"GET", "/v1/endpoints?Name=a&shape=v1&detailed=true", ""},
		{"GET", `/v1/networks?filter={"Type":0}`, ""},
		{"POST", "/v1/hnscall", `{"Method":"GET","Path":"/networks/","Request":""}`},
		{"POST", "/hns/namespaces/", `{"IsDefault":false}`},
		{"POST", "/v1/clock/advance", `{"duration":"1s"}`},
		{"POST", "/v1/trace?format=text", `{"from":"a","packet":"tcp > 172.20.0.1:80 flags=S ttl=3 'x'"}`},
		{"POST", "/v1/trace", `{"from":"host","packet":"17 1.1.1.1 > 10.127.130.36 len=100 df"}`},
		{"DELETE", "/v1/networks/" + unknownID, ""},
		{"GET", "/metrics", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	l := mkLab(f, hcn.WS2025)
	l.rest.st = l.st
	defer l.st.Close()
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if strings.HasPrefix(path, "/v1/events") || len(path) > 4096 {
			return // never ends; is refused before it comes here
		}
		req, err := http.NewRequest(method, "http://x/", strings.NewReader(body))
		if err != nil {
			return
		}
		u, err := req.URL.Parse(path)
		if err != nil || u.Host != "x" {
			return
		}
		req.URL = u
		req.Header.Set("Authorization", "Bearer "+l.st.Token())
		w := &answer{header: http.Header{}, status: http.StatusOK}
		l.rest.http.Handler.ServeHTTP(w, req)
		w.check(t, method, path)
		l.t = t
		if w.status == http.StatusCreated && len(l.st.Hosts()[0].HNS.State().Networks) > 20 {
			l.empty()
		}
	})
}

// answer keeps an answer.
type answer struct {
	header http.Header
	status int
	body   strings.Builder
}

func (w *answer) Header() http.Header         { return w.header }
func (w *answer) WriteHeader(status int)      { w.status = status }
func (w *answer) Write(b []byte) (int, error) { return w.body.Write(b) }

func (w *answer) check(t *testing.T, method, path string) {
	t.Helper()
	if w.status >= 500 && w.status != http.StatusNotImplemented {
		t.Fatalf("%s %q: %d %s", method, path, w.status, w.body.String())
	}
	if w.status >= 400 && !strings.HasPrefix(w.body.String(), `{"Success":false,"Error":"`) {
		t.Fatalf("%s %q: %d %s", method, path, w.status, w.body.String())
	}
}

// empty deletes what has gathered.
func (l *lab) empty() {
	service := l.st.Hosts()[0].HNS
	for _, n := range service.State().Networks {
		if err := service.DeleteNetwork(n.Doc.ID); err != nil {
			l.t.Fatal(err)
		}
	}
}

func FuzzPacket(f *testing.F) {
	for _, s := range []string{
		"udp 10.0.0.1:5000 > 10.0.0.2:53 'hello'", "tcp > [fd00::1]:80 flags=SA seq=7 ttl=1", "icmp 10.0.0.1 > 10.0.0.2 type=3 code=4 id=1 seq=2",
		"icmp > ff02::1", "89 10.0.0.1 > 10.0.0.2 len=9000 df tos=0xb8", "udp > 10.0.0.2:53 ''", "udp 10.0.0.1 > fd00::1:53",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePacket(s)
		if err != nil {
			if !strings.Contains(err.Error(), packetForm) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		src := p.dst.Addr()
		if frame, err := p.build(src); err == nil {
			_ = frame.Bytes()
		}
	})
}
