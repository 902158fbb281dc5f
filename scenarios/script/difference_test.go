package script

import (
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
)

func TestDifferenceFindsWhereTwoRunsGoApart(t *testing.T) {
	base := func() *Result {
		return &Result{Status: Passed, Virtual: time.Second, EventHash: "h", Log: "any", Observations: []backends.Observation{
			{At: 1, Kind: backends.OnWire, Role: "h1", Peer: "tx", Frame: []byte{1, 2}, ID: 7},
			{At: 2, Kind: backends.DroppedAt, Role: "h1", Where: "co1", Reason: "AclBlock", Frame: []byte{1}, ID: 7},
		}}
	}
	for _, tt := range []struct {
		name   string
		change func(*Result)
		want   string
	}{
		{"nothing", func(*Result) {}, ""},
		{"only what does not count", func(r *Result) { r.Log, r.Duration = "other", 5 }, ""},
		{"a byte", func(r *Result) { r.Observations[0].Frame = []byte{1, 3} }, "observation 1:"},
		{"a drop reason", func(r *Result) { r.Observations[1].Reason = "NoMapping" }, "NoMapping"},
		{"a packet less", func(r *Result) { r.Observations = r.Observations[:1] }, "nothing more"},
		{"an identity", func(r *Result) { r.Observations[0].ID = 8 }, "#8"},
		{"the time of a packet", func(r *Result) { r.Observations[0].At = 3 }, "observation 1:"},
		{"the verdict", func(r *Result) { r.Status, r.Reason = Failed, "no packet" }, "result: passed | failed, no packet"},
		{"the clock", func(r *Result) { r.Virtual = 1 }, "virtual time"},
		{"what nobody saw", func(r *Result) { r.EventHash = "i" }, "event hash"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := base()
			tt.change(b)
			got := Difference(base(), b)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
