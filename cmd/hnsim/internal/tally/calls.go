package tally

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/standin"
)

// Function is what was called, how often, and how it went.
type Function struct {
	Name     string    `json:"function"` // "HNSCall GET /endpoints/{id}" for v1
	Calls    int       `json:"calls"`
	Failures []Failure `json:"failures,omitempty"`
}

// Failure is a way in which calls of a function were refused.
type Failure struct {
	Count   int    `json:"count"`
	HResult string `json:"hresult,omitempty"` // "0x803b0001"; HNSCall has none
	Name    string `json:"name,omitempty"`    // "HCN_E_NETWORK_NOT_FOUND"
	Text    string `json:"text,omitempty"`
}

// Handle is a handle that was not closed.
type Handle struct {
	Of string `json:"of"` // "endpoint 7ea1..."
	// Opener is the function that returned it.
	Opener string `json:"opener"`
}

// Log collects calls. Its methods may be called from several goroutines.
type Log struct {
	mu        sync.Mutex
	functions []*Function // in the order of their first calls
	open      []openHandle
}

type openHandle struct {
	session, handle uint64
	Handle
}

// Add adds a call.
func (l *Log) Add(c *standin.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.function(title(c))
	f.Calls++
	if failed, is := failureOf(c); is {
		f.fail(failed)
		return
	}
	if c.New != 0 {
		l.open = append(l.open, openHandle{c.Session, c.New, Handle{opened(c), c.Function}})
	}
	if standin.Closes(c.Function) {
		l.open = slices.DeleteFunc(l.open, func(o openHandle) bool { return o.session == c.Session && o.handle == c.Handle })
	}
}

func (l *Log) function(name string) *Function {
	for _, f := range l.functions {
		if f.Name == name {
			return f
		}
	}
	f := &Function{Name: name}
	l.functions = append(l.functions, f)
	return f
}

func (f *Function) fail(n Failure) {
	for i := range f.Failures {
		if o := &f.Failures[i]; o.HResult == n.HResult && (n.HResult != "" || o.Text == n.Text) {
			o.Count++
			return
		}
	}
	n.Count = 1
	f.Failures = append(f.Failures, n)
}

// Functions are what was called so far.
func (l *Log) Functions() []Function {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Function{}
	for _, f := range l.functions {
		c := *f
		c.Failures = slices.Clone(f.Failures)
		out = append(out, c)
	}
	return out
}

// Open lists the handles that are open, in the order of opening.
func (l *Log) Open() []Handle {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Handle{}
	for _, o := range l.open {
		out = append(out, o.Handle)
	}
	return out
}

var guidInPath = regexp.MustCompile(`(?i)\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?`)

// title names what was called. Paths of v1 are part of it, without the ids.
func title(c *standin.Call) string {
	if c.Function != "HNSCall" || len(c.Args) < 2 {
		return c.Function
	}
	return "HNSCall " + c.Args[0] + " " + guidInPath.ReplaceAllString(c.Args[1], "{id}")
}

// opened says what a new handle is for.
func opened(c *standin.Call) string {
	for _, prefix := range []string{"HcnOpen", "HcnCreate", "HcsOpen", "HcnRegister"} {
		if kind, ok := strings.CutPrefix(c.Function, prefix); ok {
			id := c.NewID
			if id == "" {
				id = c.GUID
			}
			return strings.TrimSpace(strings.ToLower(kind) + " " + id)
		}
	}
	return c.Function
}

// failureOf says whether and how a call was refused. HNSCall says so in its
// result; its HRESULT is 0.
func failureOf(c *standin.Call) (Failure, bool) {
	v, _ := strconv.ParseUint(c.HResult, 0, 32)
	record := c.Error
	if v == 0 {
		if c.Function != "HNSCall" || !strings.HasPrefix(c.Result, `{"Success":false`) {
			return Failure{}, false
		}
		record = c.Result
	}
	var doc struct{ Error, ErrorMessage string }
	if json.Unmarshal([]byte(record), &doc) != nil {
		doc.Error = ""
	}
	f := Failure{Text: strings.TrimSpace(doc.Error)}
	if v != 0 {
		code := hcn.Code(v)
		f.HResult = c.HResult
		if info, known := code.Info(); known {
			f.Name = info.Name
		}
	}
	return f, true
}
