package rest

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/keep"
)

// worker is one client: it makes pods, keeps every sixteenth endpoint, and
// deletes the rest.
type worker struct {
	l     *lab
	net   string
	calls int
	err   error
}

// TestClientsOfBothKindsLoseNothing runs 10,000 mixed operations of 32
// clients, every other one through the DLLs' protocol. With -race it also shows
// that the two ways in share nothing by accident.
func TestClientsOfBothKindsLoseNothing(t *testing.T) {
	clientsOfBothKinds(t, newLab(t, hcn.WS2025), 10_000)
}

// TestTheStateFileKeepsUpWithClientsAtOnce is the same with a state file, and
// compares what is there after a restart.
func TestTheStateFileKeepsUpWithClientsAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	open := func() *lab {
		l := mkLab(t, hcn.WS2025)
		var err error
		if l.keep, _, err = keep.Open(keep.Config{Path: path, World: l.world}); err != nil {
			t.Fatal(err)
		}
		l.serve()
		return l
	}
	l := open()
	clientsOfBothKinds(t, l, 1000)
	was := l.must(http.StatusOK, "GET", "/v1/state", "")
	if err := l.keep.Close(); err != nil {
		t.Fatal(err)
	}
	l = open()
	defer l.keep.Close()
	if is := l.must(http.StatusOK, "GET", "/v1/state", ""); hosts(is) != hosts(was) {
		t.Errorf("after a restart:\n was %s\n  is %s", was, is)
	}
}

// hosts is the part of /v1/state that a restart of the service leaves alone.
func hosts(state string) string {
	_, after, _ := strings.Cut(state, `"hosts":`)
	return generation.ReplaceAllString(after, "")
}

var generation = regexp.MustCompile(`"generation":\d+`)

func clientsOfBothKinds(t *testing.T, l *lab, total int64) {
	t.Helper()
	net := l.create("/v1/networks", `{"Name":"big","Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"192.168.0.0/16"}]}]}`)
	const clients = 32
	var kept, calls atomic.Int64
	var wg sync.WaitGroup
	for n := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			w := &worker{l: l, net: net}
			var c *standin.Client
			if n%2 == 0 {
				if c, w.err = standin.Dial(l.st.Addr(), l.st.Token(), "", uint64(n+1)); w.err == nil {
					defer c.Close()
				}
			}
			for i := 0; calls.Load() < total && w.err == nil; i++ {
				name := fmt.Sprintf("c%d-%d", n, i)
				before := w.calls
				if c == nil {
					w.rest(name, i%16 == 0)
				} else {
					w.dll(c, name, i%16 == 0)
				}
				calls.Add(int64(w.calls - before))
				if i%16 == 0 {
					kept.Add(1)
				}
			}
			if w.err != nil {
				t.Errorf("client %d: %v", n, w.err)
			}
		}()
	}
	wg.Wait()
	s := l.world.Host("h1").HNS.State()
	if len(s.Endpoints) != int(kept.Load()) || len(s.Namespaces) != 1 || len(s.Networks) != 1 {
		t.Errorf("%d endpoints, %d expected; %d namespaces, %d networks", len(s.Endpoints), kept.Load(), len(s.Namespaces), len(s.Networks))
	}
	addrs := map[string]bool{}
	for _, e := range s.Endpoints {
		if a := e.Addr().String(); addrs[a] {
			t.Errorf("address %s twice", a)
		} else {
			addrs[a] = true
		}
	}
	// Requests of /metrics are no calls.
	if st := l.st.Stats(); st.Handles != 0 || st.Leaked != 0 || st.Calls < uint64(total)*9/10 || st.Refused != 0 {
		t.Errorf("%+v", st)
	}
}

// do makes a request that has to succeed and returns its document's id.
func (w *worker) do(method, path, body string) string {
	if w.err != nil {
		return ""
	}
	w.calls++
	req, err := http.NewRequest(method, w.l.url+path, strings.NewReader(body))
	if err != nil {
		w.err = err
		return ""
	}
	req.Header.Set("Authorization", "Bearer "+w.l.st.Token())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.err = err
		return ""
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		w.err = fmt.Errorf("%s %s: %s %s %w", method, path, resp.Status, raw, err)
	}
	var doc struct{ ID string }
	_ = json.Unmarshal(raw, &doc) // lists have none
	return doc.ID
}

func (w *worker) rest(name string, keep bool) {
	ep := w.do("POST", "/v1/endpoints?network="+w.net, `{"Name":"`+name+`"}`)
	ns := w.do("POST", "/v1/namespaces", `{"Type":"Host"}`)
	w.do("PATCH", "/v1/namespaces/"+ns, `{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":"`+ep+`"}}`)
	w.do("PATCH", "/v1/namespaces/"+ns, `{"ResourceType":"Container","RequestType":"Add","Settings":{"ContainerId":"`+name+`"}}`)
	if got := w.do("GET", "/v1/endpoints/"+ep, ""); w.err == nil && got != ep {
		w.err = fmt.Errorf("%s is lost: %s", name, got)
	}
	w.do("POST", "/v1/trace", `{"from":"`+ep+`","packet":"icmp > 192.168.0.1"}`)
	w.do("GET", "/metrics", "")
	w.do("PATCH", "/v1/namespaces/"+ns, `{"ResourceType":"Container","RequestType":"Remove","Settings":{"ContainerId":"`+name+`"}}`)
	w.do("DELETE", "/v1/namespaces/"+ns, "")
	if !keep {
		w.do("DELETE", "/v1/endpoints/"+ep, "")
	}
}

func (w *worker) call(c *standin.Client, function string, handle uint64, id string, texts ...string) standin.Response {
	if w.err != nil {
		return standin.Response{Texts: []standin.Text{standin.Null, standin.Null}}
	}
	w.calls++
	r := standin.Request{Function: function, Handle: handle}
	raw, _ := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	copy(r.GUID[:], raw)
	if id != "" {
		binary.LittleEndian.PutUint32(r.GUID[:], binary.BigEndian.Uint32(raw))
		binary.LittleEndian.PutUint16(r.GUID[4:], binary.BigEndian.Uint16(raw[4:]))
		binary.LittleEndian.PutUint16(r.GUID[6:], binary.BigEndian.Uint16(raw[6:]))
	}
	for _, s := range texts {
		r.Texts = append(r.Texts, standin.Str(s))
	}
	resp, err := c.Call(r)
	if err == nil && resp.HResult != 0 {
		err = fmt.Errorf("%s: 0x%08x %s", function, resp.HResult, resp.Texts[1].Value)
	}
	w.err = err
	return resp
}

func (w *worker) dll(c *standin.Client, name string, keep bool) {
	net := w.call(c, "HcnOpenNetwork", 0, w.net).Handle
	ep := w.call(c, "HcnCreateEndpoint", net, "", `{"Name":"`+name+`"}`).Handle
	props := w.call(c, "HcnQueryEndpointProperties", ep, "", "")
	var doc struct{ ID string }
	if w.err == nil {
		w.err = json.Unmarshal([]byte(props.Texts[0].Value), &doc)
	}
	w.call(c, "HcnCloseEndpoint", ep, "")
	w.call(c, "HcnCloseNetwork", net, "")
	w.call(c, "HNSCall", 0, "", "GET", "/endpoints/"+doc.ID, "")
	if !keep {
		w.call(c, "HcnDeleteEndpoint", 0, doc.ID)
	}
}
