package spread

import (
	"github.com/hnsim/hnsim/backends"
)

// merge puts what the parts have seen into one order: by time, and no frame
// arrives at a node before it has left another one, whatever the clocks say.
// The order within a part is kept.
func (w *world) merge() {
	var queues [][]backends.Observation
	for _, p := range w.sorted() {
		if len(p.queue) > 0 {
			queues = append(queues, p.queue)
			p.queue = nil
		}
	}
	for _, o := range merged(queues, w.sent) {
		if n := len(w.seen); n > 0 && o.At < w.seen[n-1].At {
			o.At = w.seen[n-1].At // what comes later is not earlier
		}
		o.Seq, o.ID = len(w.seen), 0
		w.seen = append(w.seen, o)
	}
}

// merged is the merge of sequences. left notes the frames that have left a
// node.
func merged(queues [][]backends.Observation, left map[string]bool) []backends.Observation {
	pending := map[string]int{} // frames that will leave a node, and how often
	for _, q := range queues {
		for i := range q {
			if leaves(&q[i]) {
				pending[string(q[i].Frame)]++
			}
		}
	}
	var out []backends.Observation
	for {
		at := earliest(queues)
		if at < 0 {
			return out
		}
		at = cause(queues, at, left, pending)
		o := queues[at][0]
		queues[at] = queues[at][1:]
		if leaves(&o) {
			left[string(o.Frame)] = true
			pending[string(o.Frame)]--
		}
		out = append(out, o)
	}
}

func leaves(o *backends.Observation) bool { return o.Kind == backends.OnWire && o.Peer == "tx" }

// earliest is the sequence whose first observation is the oldest, or -1.
func earliest(queues [][]backends.Observation) int {
	best := -1
	for i, q := range queues {
		if len(q) > 0 && (best < 0 || q[0].At < queues[best][0].At) {
			best = i
		}
	}
	return best
}

// cause follows an arrival to the sequence in which the frame leaves, if that
// is still to come, and from there on.
func cause(queues [][]backends.Observation, at int, left map[string]bool, pending map[string]int) int {
	visited := map[int]bool{}
	for next := at; !visited[next]; {
		visited[next] = true
		o := &queues[next][0]
		frame := string(o.Frame)
		if o.Kind != backends.OnWire || o.Peer != "rx" || left[frame] || pending[frame] == 0 {
			return next
		}
		for i, q := range queues {
			if i != next && has(q, frame) {
				next = i
				break
			}
		}
	}
	return at // each waits for another one: the clocks decide
}

func has(q []backends.Observation, frame string) bool {
	for i := range q {
		if leaves(&q[i]) && string(q[i].Frame) == frame {
			return true
		}
	}
	return false
}
