package standin

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

// TestClientsAtOnceLoseNothing runs 10,000 mixed calls from 32 clients. With
// -race it also shows that the server shares nothing by accident.
func TestClientsAtOnceLoseNothing(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	first := l.client(1)
	first.must(Request{Function: "HcnCreateNetwork", GUID: guid(id1), Texts: texts(natDoc)})
	const clients, total = 32, 10_000
	var kept, calls atomic.Int64
	var wg sync.WaitGroup
	for n := range clients {
		c := l.client(uint64(100 + n))
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; calls.Load() < total; i++ {
				done, keep, err := pod(c.Client, fmt.Sprintf("c%d-%d", n, i), i%4 == 0)
				calls.Add(int64(done))
				kept.Add(int64(keep))
				if err != nil {
					t.Errorf("client %d round %d: %v", n, i, err)
					return
				}
			}
		}()
	}
	wg.Wait()
	s := l.service.State()
	if len(s.Endpoints) != int(kept.Load()) || len(s.Namespaces) != 1 || len(s.Networks) != 1 {
		t.Errorf("%d endpoints, %d expected; %d namespaces, %d networks", len(s.Endpoints), kept.Load(), len(s.Namespaces), len(s.Networks))
	}
	addrs := map[string]bool{}
	for _, e := range s.Endpoints {
		for _, a := range e.Addrs {
			if addrs[a.IP.String()] {
				t.Errorf("address %s twice", a.IP)
			}
			addrs[a.IP.String()] = true
		}
	}
	// The first client has its network handle; the others have closed theirs.
	if st := l.Stats(); st.Handles != 1 || st.Leaked != 0 || st.Calls < total || st.Refused != 0 {
		t.Errorf("%+v", st)
	}
}

// pod is the life of one endpoint and its namespace, the way hcsshim calls. It
// returns how many calls it made and how many endpoints stay.
func pod(c *Client, name string, keep bool) (calls, kept int, err error) {
	do := func(r Request) Response {
		var resp Response
		if err != nil {
			return Response{Texts: []Text{Null, Null}}
		}
		calls++
		if resp, err = c.Call(r); err == nil && resp.HResult != 0 {
			err = fmt.Errorf("%s: 0x%08x %s", r.Function, resp.HResult, resp.Texts[1].Value)
		}
		return resp
	}
	id := func(handle uint64, kind string) string {
		var doc struct{ ID string }
		raw := do(Request{Function: "HcnQuery" + kind + "Properties", Handle: handle, Texts: texts(v2Query)})
		if err == nil {
			err = json.Unmarshal([]byte(raw.Texts[0].Value), &doc)
		}
		return doc.ID
	}
	net := do(Request{Function: "HcnOpenNetwork", GUID: guid(id1)}).Handle
	ep := do(Request{Function: "HcnCreateEndpoint", Handle: net, Texts: texts(strings.Replace(endpointDoc, `"e"`, `"`+name+`"`, 1))}).Handle
	epID := id(ep, "Endpoint")
	do(Request{Function: "HcnCloseEndpoint", Handle: ep})
	do(Request{Function: "HcnCloseNetwork", Handle: net})
	ns := do(Request{Function: "HcnCreateNamespace", Texts: texts(`{"Type":"Host"}`)}).Handle
	nsID := id(ns, "Namespace")
	do(Request{Function: "HcnModifyNamespace", Handle: ns, Texts: texts(`{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":"` + epID + `"}}`)})
	found := do(Request{Function: "HcnEnumerateEndpoints", Texts: texts(`{"Filter":"{\"Name\":\"` + name + `\"}"}`)})
	if err == nil && !strings.EqualFold(found.Texts[0].Value, `["`+epID+`"]`) {
		err = fmt.Errorf("%s is lost: %s", name, found.Texts[0].Value)
	}
	do(Request{Function: "HNSCall", Texts: texts("GET", "/endpoints/"+epID, "")})
	do(Request{Function: "HcnDeleteNamespace", GUID: guid(nsID)})
	do(Request{Function: "HcnCloseNamespace", Handle: ns})
	if keep {
		return calls, 1, err
	}
	do(Request{Function: "HcnDeleteEndpoint", GUID: guid(epID)})
	return calls, 0, err
}

func TestHandlesBelongToTheSessionAndGoWithIt(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	a, b, other := l.client(1), l.client(1), l.client(2)
	h := a.must(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)}).Handle
	query := Request{Function: "HcnQueryNetworkProperties", Handle: h, Texts: texts("")}
	b.must(query)
	other.mustFail(hcn.ErrInvalidHandle, query)
	a.Close()
	b.must(query)
	b.Close()
	for range 1000 {
		if l.Stats().Sessions == 1 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if st := l.Stats(); st.Sessions != 1 || st.Handles != 0 || st.Leaked != 1 {
		t.Errorf("%+v", st)
	}
	if n := len(l.service.State().Networks); n != 1 {
		t.Errorf("%d networks: a handle is not what keeps an object", n)
	}
}

func TestAStoppedServiceSaysSoWithoutHarmToHandles(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	c := l.client(1)
	h := c.must(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)}).Handle
	query := Request{Function: "HcnQueryNetworkProperties", Handle: h, Texts: texts("")}
	l.service.BeginStop()
	c.mustFail(hcn.ErrManagerStopped, query)
	l.service.Stop()
	c.mustFail(hcn.ErrUnknownInterface, query)
	if err := l.service.Start(); err != nil {
		t.Fatal(err)
	}
	c.must(query)
}

func TestClosingWaitsForCallsAndEndsConnections(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	entered, release := make(chan bool), make(chan bool)
	var once sync.Once
	s, err := Listen(Config{Hosts: []Host{{"h1", l.service}}, Before: func() {
		once.Do(func() { entered <- true; <-release })
	}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	c, err := Dial(s.Addr(), s.Token(), "h1", 1)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		resp, err := c.Call(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)})
		if err == nil && resp.HResult != 0 {
			err = hcn.Code(resp.HResult)
		}
		answered <- err
	}()
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	release <- true
	for _, ch := range []chan error{answered, closed, served} {
		if err := <-ch; err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Call(Request{Function: "HcnOpenService"}); err == nil {
		t.Error("the connection goes on")
	}
	if n := len(l.service.State().Networks); n != 1 {
		t.Errorf("%d networks after an acknowledged create", n)
	}
}

func TestEveryCallIsRecorded(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	var got []Call
	s, err := Listen(Config{Hosts: []Host{{"h1", l.service}}, OnCall: func(c Call) { got = append(got, c) }})
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve()
	c, err := Dial(s.Addr(), s.Token(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	cl := &client{c, t}
	h := cl.must(Request{Function: "HcnCreateNetwork", GUID: guid(id1), Texts: texts(natDoc)}).Handle
	cl.mustFail(hcn.ErrInvalidJSON, Request{Function: "HcnModifyNetwork", Handle: h, Texts: texts("{")})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].GUID != id1 || got[0].New != h || got[1].On != string(hns.NetworkKind)+" "+id1 ||
		got[1].HResult != "0x803b001b" || got[1].Error == "" || got[1].Args[0] != "{" {
		t.Errorf("%+v", got)
	}
}
