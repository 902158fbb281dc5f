package hns

import (
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// listed is an HNS with documents; gone ones are in its list only.
type listed struct {
	ids  string
	docs map[string]string
	err  error
}

func (l listed) do(op backends.HCNOp) (backends.HCNResult, error) {
	if op.Verb == "enumerate" {
		return backends.HCNResult{Document: json.RawMessage(l.ids)}, nil
	}
	if l.err != nil {
		return backends.HCNResult{}, l.err
	}
	if d, ok := l.docs[op.ID]; ok {
		return backends.HCNResult{Document: json.RawMessage(d)}, nil
	}
	return backends.HCNResult{}, hcn.Errorf(hcn.ErrEndpointNotFound, "gone")
}

func (listed) version() (hcn.HNSVersion, error) { return hcn.HNSVersion{Major: 13, Minor: 3}, nil }

func TestDocumentsAreThoseThatAreThere(t *testing.T) {
	l := listed{ids: `["a","b","c"]`, docs: map[string]string{"a": `{"ID":"a"}`, "c": `{"ID":"c"}`}}
	got, err := documents(l, "endpoint")
	if err != nil || len(got) != 2 || string(got[1]) != `{"ID":"c"}` {
		t.Errorf("%s, %v: what is deleted meanwhile is no error", got, err)
	}
	l.err = hcn.Errorf(hcn.ErrFail, "trouble")
	if _, err := documents(l, "endpoint"); !errors.Is(err, hcn.ErrFail) || !strings.Contains(err.Error(), "endpoint a") {
		t.Errorf("error %v", err)
	}
	if _, err := documents(listed{ids: `{"a":1}`}, "network"); err == nil || !strings.Contains(err.Error(), "expected a list of ids") {
		t.Errorf("error %v", err)
	}
}

func TestEveryPortIsAskedForItsRules(t *testing.T) {
	const list = "ITEM LIST\r\n===========\r\n\r\n  Port name                 : 2D1C7F0A-0001\r\n  Port Friendly name        : a b\r\n" +
		"  Port name                 : 2D1C7F0A-0002\r\n  Switch Friendly name      : nat\r\n"
	var got []output
	raw := portDetails(list, func(c []string) (string, error) {
		if c[1] == "/list-rule" && c[3] == "2D1C7F0A-0002" {
			return "half of it", errors.New("exit status 5")
		}
		return strings.Join(c, " "), nil
	})
	if err := json.Unmarshal(raw, &got); err != nil || len(got) != 6 {
		t.Fatalf("%v, %s", err, raw)
	}
	if got[1].Output != "vfpctrl /list-rule /port 2D1C7F0A-0001" || got[4].Output != "half of it" || got[4].Error != "exit status 5" {
		t.Errorf("%+v", got)
	}
	if none := portDetails("Error: no such command", nil); string(none) != "[]" {
		t.Errorf("%s", none)
	}
}

func TestSurroundingsSayWhyTheyAreMissing(t *testing.T) {
	all := Surroundings()
	for name := range tools {
		var o output
		if err := json.Unmarshal(all[name], &o); err != nil || o.Output == "" && o.Error == "" || len(o.Command) == 0 {
			t.Errorf("%s: %s, %v", name, all[name], err)
		}
	}
	var list []adapter
	if err := json.Unmarshal(all["adapters"], &list); err != nil {
		t.Errorf("adapters: %s, %v", all["adapters"], err)
	}
	if runtime.GOOS != "windows" {
		if _, err := Documents("network"); err == nil || !strings.Contains(err.Error(), "needs Windows") {
			t.Errorf("error %v", err)
		}
	}
}
