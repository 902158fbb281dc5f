package spread

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// obs reads "5 tx a" (at 5, frame a leaves a node), "5 rx a", "5 got a".
func obs(t *testing.T, text string) (out []backends.Observation) {
	t.Helper()
	for _, s := range strings.Split(text, ",") {
		var o backends.Observation
		var what, frame string
		if _, err := fmt.Sscan(s, (*int64)(&o.At), &what, &frame); err != nil {
			t.Fatal(s, err)
		}
		o.Kind, o.Peer, o.Frame = backends.OnWire, what, []byte(frame)
		if what == "got" {
			o.Kind, o.Peer = backends.Received, ""
		}
		out = append(out, o)
	}
	return out
}

func show(all []backends.Observation) string {
	var out []string
	for _, o := range all {
		what := o.Peer
		if o.Kind == backends.Received {
			what = "got"
		}
		out = append(out, what+" "+string(o.Frame))
	}
	return strings.Join(out, ", ")
}

func TestFramesLeaveBeforeTheyArrive(t *testing.T) {
	for _, c := range []struct {
		name, one, two, want string
	}{
		{"clocks that agree", "1 tx a,4 rx b", "2 rx a,3 tx b", "tx a, rx a, tx b, rx b"},
		{"a clock that is behind", "5 tx a,8 rx b", "1 rx a,2 got a,3 tx b", "tx a, rx a, got a, tx b, rx b"},
		{"a clock that is ahead", "1 tx a,2 rx b", "9 rx a,10 tx b", "tx a, rx a, tx b, rx b"},
		{"a broadcast", "5 tx a", "1 rx a,2 rx a", "tx a, rx a, rx a"},
		{"a frame from outside", "5 tx b", "1 rx a,9 rx b", "rx a, tx b, rx b"},
		{"each waits for the other", "1 rx a,2 tx b", "1 rx b,2 tx a", "rx a, tx b, rx b, tx a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := show(merged([][]backends.Observation{obs(t, c.one), obs(t, c.two)}, map[string]bool{}))
			if got != c.want {
				t.Errorf("order %s\nwant  %s", got, c.want)
			}
		})
	}
}

// Whatever the sequences are: nothing is lost, and every part's order stays.
func TestAMergeKeepsEverythingInItsOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var queues, copies [][]backends.Observation
		total := 0
		for part := range 3 {
			var q []backends.Observation
			for i := range rnd.IntN(8) {
				q = append(q, backends.Observation{Role: fmt.Sprint(part), Seq: i, Kind: backends.OnWire,
					Peer: []string{"tx", "rx"}[rnd.IntN(2)], Frame: []byte{byte('a' + rnd.IntN(3))}})
				q[i].At = time.Duration(rnd.IntN(20))
			}
			total += len(q)
			queues, copies = append(queues, q), append(copies, append([]backends.Observation(nil), q...))
		}
		got := merged(queues, map[string]bool{})
		if len(got) != total {
			t.Fatalf("%d of %d observations", len(got), total)
		}
		at := map[string]int{}
		for _, o := range got {
			if o.Seq != at[o.Role] {
				t.Fatalf("part %s: number %d, want %d\n%v", o.Role, o.Seq, at[o.Role], copies)
			}
			at[o.Role]++
		}
	}
}
