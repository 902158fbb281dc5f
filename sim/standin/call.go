package standin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

// call is one call being carried out, with the server's lock held.
type call struct {
	srv  *Server
	ses  *session
	host *Host
	req  *Request
	resp Response
	on   string // what the handle stands for, for the record
	made string // id of a created object
}

// function is an exported function.
type function struct {
	texts int // text arguments
	run   func(c *call) error
}

// waitFunction is the shims' own: it fetches the next notification of the
// subscription Handle, waiting at most Number milliseconds. The answer has the
// type in Number and the data as text; Number 0 is nothing yet.
const waitFunction = "HnsimWaitNotification"

// functions are the exports by name.
var functions = makeFunctions()

// Functions lists the names that the server answers to.
func Functions() []string {
	names := []string{waitFunction}
	for n := range functions {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Closes reports whether a function closes the handle that it is given.
func Closes(function string) bool {
	for _, prefix := range []string{"HcnClose", "HcsClose", "HcnUnregister", "HcsUnregister", "HcnRelease"} {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}

// Family is a kind of object with its words in the names of functions (A.2):
// HcnCreate<Name>, HcnEnumerate<Plural>.
type Family struct {
	Kind         hns.Kind
	Name, Plural string
}

// Families are the five kinds of objects. Nobody changes it.
var Families = []Family{
	{hns.NetworkKind, "Network", "Networks"},
	{hns.EndpointKind, "Endpoint", "Endpoints"},
	{hns.NamespaceKind, "Namespace", "Namespaces"},
	{hns.LoadBalancerKind, "LoadBalancer", "LoadBalancers"},
	{hns.RouteKind, "SdnRoute", "SdnRoutes"},
}

func makeFunctions() map[string]function {
	m := map[string]function{
		"HNSCall":                       {3, (*call).hnsCall},
		"HcnQueryEndpointStats":         {1, func(c *call) error { return c.endpointExtra("endpointstats") }},
		"HcnQueryEndpointAddresses":     {1, func(c *call) error { return c.endpointExtra("endpointaddresses") }},
		"HcnOpenService":                {0, func(c *call) error { return c.answerHandle(&handle{kind: serviceHandle}) }},
		"HcnCloseService":               {0, func(c *call) error { return c.closeHandle(serviceHandle) }},
		"HcnRegisterServiceCallback":    {0, func(c *call) error { return c.registerCallback("") }},
		"HcnUnregisterServiceCallback":  {0, (*call).unregisterCallback},
		"HcsEnumerateComputeSystems":    {1, (*call).enumerateComputeSystems},
		"HcsOpenComputeSystem":          {1, (*call).openComputeSystem},
		"HcsGetComputeSystemProperties": {1, (*call).computeSystemProperties},
		"HcsModifyComputeSystem":        {1, (*call).modifyComputeSystem},
		"HcsCloseComputeSystem":         {0, func(c *call) error { return c.closeHandle(computeSystemHandle) }},

		"HcsRegisterComputeSystemCallback":   {0, (*call).registerComputeCallback},
		"HcsUnregisterComputeSystemCallback": {0, func(c *call) error { return c.closeHandle(computeCallbackHandle) }},
	}
	for _, o := range Families {
		kind := o.Kind
		m["HcnEnumerate"+o.Plural] = function{1, func(c *call) error { return c.enumerate(kind) }}
		m["HcnCreate"+o.Name] = function{1, func(c *call) error { return c.create(kind) }}
		m["HcnOpen"+o.Name] = function{0, func(c *call) error { return c.open(kind) }}
		m["HcnModify"+o.Name] = function{1, func(c *call) error { return c.modify(kind) }}
		m["HcnQuery"+o.Name+"Properties"] = function{1, func(c *call) error { return c.query(kind) }}
		m["HcnDelete"+o.Name] = function{0, func(c *call) error { return c.delete(kind) }}
		m["HcnClose"+o.Name] = function{0, func(c *call) error { return c.closeHandle(handleKind(kind)) }}
	}
	addGuestFunctions(m)
	return m
}

// call carries out one request.
func (s *Server) call(ses *session, host *Host, req *Request) Response {
	if req.Function == waitFunction {
		return s.wait(ses, req)
	}
	c := &call{srv: s, ses: ses, host: host, req: req, resp: Response{Texts: []Text{Null, Null}}}
	s.carryOut(&job{run: c.answer, fail: c.fail, record: c.record})
	return c.resp
}

// job is a call or an operation. Its functions run with the server's lock held.
type job struct {
	run    func()
	fail   func(error) // the outcome is this error after all
	record func() Call // of the outcome, without Time and Took
}

// carryOut does a job alone, after Before, and returns when what it did is
// durable and it has been recorded, with the outcome that its caller is told.
func (s *Server) carryOut(j *job) {
	var start time.Time
	var took time.Duration
	record := func() {
		c := j.record()
		c.Time, c.Took = start, took
		s.stats.Calls++
		if s.cfg.OnCall != nil {
			s.cfg.OnCall(c)
		}
	}
	s.Look(func() {
		if s.cfg.Before != nil {
			s.cfg.Before()
		}
		start = s.cfg.Now()
		j.run()
		took = s.cfg.Now().Sub(start)
		if s.cfg.Durable == nil {
			record()
		}
	})
	if s.cfg.Durable == nil {
		return
	}
	err := s.cfg.Durable()
	s.Look(func() {
		if err != nil {
			j.fail(err)
		}
		record()
	})
}

func (c *call) answer() {
	if c.host == nil {
		if c.host = c.srv.selected; c.host == nil {
			c.host = &Host{}
			c.fail(hcn.Errorf(hcn.ErrUnknownInterface, "no host is selected"))
			return
		}
	}
	if h := c.ses.table[c.req.Handle]; h != nil {
		c.on = strings.TrimSpace(string(h.kind) + " " + h.id)
	}
	if err := c.run(); err != nil {
		c.fail(err)
	}
}

// fail makes an error the answer, in the form that the function has for it. A
// handle that was to be the answer is closed: nobody learns of it.
func (c *call) fail(err error) {
	c.srv.drop(c.ses, c.resp.Handle)
	c.resp = failure(err)
	if c.req.Function == "HNSCall" {
		c.resp.Texts[0] = c.resp.Texts[1] // its only output is the envelope
	}
	if strings.HasPrefix(c.req.Function, "Hcs") {
		c.resp.Texts[1] = Str(hcsError(err))
	}
}

func (c *call) run() error {
	f, ok := functions[c.req.Function]
	if !ok {
		return hcn.Errorf(hcn.ErrNotImplemented, "no function %q", c.req.Function)
	}
	if len(c.req.Texts) != f.texts {
		return hcn.Errorf(hcn.ErrInvalidParameter, "%s has %d texts, not %d", c.req.Function, f.texts, len(c.req.Texts))
	}
	return f.run(c)
}

func (c *call) record() Call {
	r := Call{Session: c.ses.id, Host: c.host.Name, Function: c.req.Function, GUID: guidText(c.req.GUID),
		Handle: c.req.Handle, On: c.on, HResult: fmt.Sprintf("0x%08x", c.resp.HResult), New: c.resp.Handle, NewID: c.made}
	for _, t := range c.req.Texts {
		r.Args = append(r.Args, t.Value)
	}
	r.Result, r.Error = c.resp.Texts[0].Value, c.resp.Texts[1].Value
	return r
}

func (c *call) text(i int) string { return c.req.Texts[i].Value }

// result sets the result text, which is never NULL on success (rule A5).
func (c *call) result(doc []byte) { c.resp.Texts[0] = Str(string(doc)) }

func (c *call) answerHandle(h *handle) error {
	v, err := c.ses.open(h)
	if err != nil {
		return err
	}
	c.resp.Handle = v
	return nil
}

func (c *call) closeHandle(kind handleKind) error {
	_, err := c.ses.close(c.req.Handle, kind)
	return err
}

// object finds the object of the call's handle. A handle outlives its object
// and says so (section G.4).
func (c *call) object(kind hns.Kind) (string, error) {
	h, err := c.ses.get(c.req.Handle, handleKind(kind))
	if err != nil {
		return "", err
	}
	num, err := c.host.HNS.Number(kind, h.id)
	if errors.Is(err, hcn.ErrUnknownInterface) || errors.Is(err, hcn.ErrManagerStopped) {
		return "", err // the service does not answer: nothing is known of the object
	}
	// An object that later got the same id is another one: balancers and routes
	// are changed that way (A.2).
	if err != nil || num != h.num {
		return "", hcn.Errorf(hcn.ErrObjectUsedAfterUnload, "%s %s was deleted", kind, h.id)
	}
	return h.id, nil
}

// answerObject answers with a handle of an object.
func (c *call) answerObject(kind hns.Kind, id string) error {
	num, err := c.host.HNS.Number(kind, id)
	if err != nil {
		return err
	}
	return c.answerHandle(&handle{kind: handleKind(kind), id: id, num: num})
}

func (c *call) enumerate(kind hns.Kind) error {
	doc, err := c.host.HNS.Enumerate(kind, []byte(c.text(0)))
	if err == nil {
		c.result(doc)
	}
	return err
}

func (c *call) create(kind hns.Kind) error {
	parent := ""
	if kind == hns.EndpointKind {
		var err error
		if parent, err = c.object(hns.NetworkKind); err != nil {
			return err
		}
	}
	id, err := c.host.HNS.Create(kind, guidText(c.req.GUID), parent, []byte(c.text(0)))
	if err != nil {
		return err
	}
	c.made = strings.ToLower(id)
	return c.answerObject(kind, c.made)
}

func (c *call) open(kind hns.Kind) error { return c.answerObject(kind, c.guid()) }

// guid is the GUID argument of a function for which zero is no special value.
func (c *call) guid() string {
	if id := guidText(c.req.GUID); id != "" {
		return id
	}
	return hcn.ZeroGUID
}

func (c *call) modify(kind hns.Kind) error {
	id, err := c.object(kind)
	if err != nil {
		return err
	}
	return c.host.HNS.Modify(kind, id, []byte(c.text(0)))
}

func (c *call) query(kind hns.Kind) error {
	id, err := c.object(kind)
	if err != nil {
		return err
	}
	doc, err := c.host.HNS.Query(kind, id, []byte(c.text(0)))
	if err == nil {
		c.result(doc)
	}
	return err
}

func (c *call) delete(kind hns.Kind) error {
	return c.host.HNS.Delete(kind, c.guid())
}

func (c *call) endpointExtra(collection string) error {
	id, err := c.object(hns.EndpointKind)
	if err != nil {
		return err
	}
	if _, err := hcn.ParseQuery([]byte(c.text(0))); err != nil {
		return err
	}
	doc, err := c.host.HNS.HNSRequest("GET", "/"+collection+"/"+id, nil)
	if err == nil {
		c.result(doc)
	}
	return err
}

// hnsCall is the v1 entry point: method, path, request.
func (c *call) hnsCall() error {
	out, code := c.host.HNS.HNSCall(c.text(0), c.text(1), []byte(c.text(2)))
	c.result(out) // with an error too (rule A21)
	c.resp.HResult = uint32(code)
	return nil
}

// registerCallback subscribes to the notifications of the host; with an id, to
// those of one guest network service.
func (c *call) registerCallback(guest string) error {
	sub := newSubscription(c.host.Name)
	sub.guest = guest
	if err := c.answerHandle(&handle{kind: subscriptionHandle, sub: sub}); err != nil {
		return err
	}
	c.srv.subscribe(sub)
	return nil
}

func (c *call) unregisterCallback() error {
	h, err := c.ses.close(c.req.Handle, subscriptionHandle)
	if err != nil {
		return err
	}
	c.srv.unsubscribe(h.sub)
	return nil
}

// maxWait bounds how long a client's thread hangs on the server.
const maxWait = 30 * time.Second

// wait fetches a notification without holding up other calls.
func (s *Server) wait(ses *session, req *Request) Response {
	s.mu.Lock()
	h, err := ses.get(req.Handle, subscriptionHandle)
	s.mu.Unlock()
	if err != nil {
		return failure(err)
	}
	timer := time.NewTimer(min(maxWait, time.Duration(min(req.Number, uint64(maxWait/time.Millisecond)))*time.Millisecond))
	defer timer.Stop()
	select {
	case n := <-h.sub.queue:
		return Response{Number: uint64(n.Type), Texts: []Text{Str(string(n.Data)), Null}}
	case <-h.sub.closed:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return failure(hcn.Errorf(hcn.ErrUnknownInterface, "the server is closing"))
		}
		return failure(invalidHandle(req.Handle))
	case <-timer.C:
		return Response{Texts: []Text{Null, Null}}
	}
}
