package hcntest

import "fmt"

// Fault is a failure of HNS that is to happen.
type Fault struct {
	// Method is the call that fails, a method of Host: "CreateEndpoint". Empty
	// is every call.
	Method string
	Code   ErrorCode
	// Times is how many calls fail; 0 is one.
	Times int
	// After lets the call take effect and loses the answer: the object is
	// there, the caller does not know. A driver that retries meets its own work.
	After bool
}

// Fail makes calls fail; faults apply in the order in which they were set. A
// method that Host does not have fails the test.
func (h *Host) Fail(f Fault) {
	h.lab.t.Helper()
	if f.Method != "" && !methods[f.Method] {
		h.lab.t.Fatalf("hcntest: Fail: Host has no call %q", f.Method)
	}
	if f.Code == 0 {
		h.lab.t.Fatalf("hcntest: Fail: a fault needs a Code, such as RPC_S_UNKNOWN_IF")
	}
	if f.Times == 0 {
		f.Times = 1
	}
	h.lab.mu.Lock()
	defer h.lab.mu.Unlock()
	h.faults = append(h.faults, f)
}

// FailEachOnce makes the first call of every method fail, whichever comes
// first, and the second one work: a driver that never retries does not survive
// it. Methods that have been called already count anew.
func (h *Host) FailEachOnce(code ErrorCode) {
	h.lab.mu.Lock()
	defer h.lab.mu.Unlock()
	h.eachOnce, h.failed = code, map[string]bool{}
}

// fault returns what a call has to suffer.
func (h *Host) fault(method string) *Fault {
	if h.eachOnce != 0 && !h.failed[method] {
		h.failed[method] = true
		return &Fault{Code: h.eachOnce}
	}
	for i := range h.faults {
		f := &h.faults[i]
		if f.Times > 0 && (f.Method == "" || f.Method == method) {
			f.Times--
			return f
		}
	}
	return nil
}

// StopHNS stops the service: every call fails with RPC_S_UNKNOWN_IF (0x6b5)
// until StartHNS. Packets keep flowing.
func (h *Host) StopHNS() {
	h.lab.mu.Lock()
	defer h.lab.mu.Unlock()
	h.sim.HNS.Stop()
}

// StartHNS starts the service again. Whether it remembers endpoints and load
// balancers depends on the build (knob hnsRestart): Server 2022 loses them,
// 2025 restores them.
func (h *Host) StartHNS() {
	h.lab.t.Helper()
	h.must("StartHNS", func() error { return h.sim.HNS.Start() })
}

// Reboot restarts the host: endpoints, load balancers, routes, namespaces and
// NAT networks are gone, external networks stay.
func (h *Host) Reboot() {
	h.lab.t.Helper()
	h.must("Reboot", func() error { return h.sim.Reboot() })
}

// SetAdapter takes the host's network adapter out, or puts it back. Without it
// the networks on it are degraded: requests about them fail with 0x803b0017.
func (h *Host) SetAdapter(present bool) {
	h.lab.t.Helper()
	h.must("SetAdapter", func() error { return h.sim.HNS.SetAdapterPresent(h.sim.NIC("").Name(), present) })
}

func (h *Host) must(what string, f func() error) {
	h.lab.t.Helper()
	h.lab.mu.Lock()
	err := f()
	if err == nil {
		err = h.lab.tick()
	}
	h.lab.mu.Unlock()
	if err != nil {
		h.lab.t.Fatalf("hcntest: %s of %s: %v", what, h.name, err)
	}
}

// Call is a call that was made.
type Call struct {
	Host    string
	Method  string // of Host: "CreateEndpoint"
	ID      string // of the object, where the call names one
	Request string // the document or the query that HNS got
	Result  string // the document or the list that HNS answered
	Err     error
}

// String is the call on one line, without documents.
func (c Call) String() string {
	s := c.Host + " " + c.Method
	if c.ID != "" {
		s += " " + c.ID
	}
	if c.Err != nil {
		s += fmt.Sprintf(": %v", c.Err)
	}
	return s
}

// Calls are the calls that were made to HNS of all hosts so far, in order.
func (l *Lab) Calls() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Call(nil), l.calls...)
}
