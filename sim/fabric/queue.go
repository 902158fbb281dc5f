package fabric

// due is when something happens: by time, then by order of posting.
type due struct {
	at  int64
	seq uint64
}

func (d due) before(o due) bool { return d.at < o.at || d.at == o.at && d.seq < o.seq }

// event is a value that waits for its time.
type event[V any] struct {
	due
	v V
}

// queue is a binary heap of events. container/heap would box every one of
// them; this one moves them by value.
type queue[V any] []event[V]

func (q *queue[V]) push(at int64, seq uint64, v V) {
	*q = append(*q, event[V]{due{at, seq}, v})
	s := *q
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s[i].before(s[up].due) {
			return
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

// pop takes the first event of a queue that is not empty.
func (q *queue[V]) pop() event[V] {
	s := *q
	top, n := s[0], len(s)-1
	s[0], s[n] = s[n], event[V]{}
	s = s[:n]
	*q = s
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < n; c++ {
			if s[c].before(s[least].due) {
				least = c
			}
		}
		if least == i {
			return top
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}

// fifo holds the packet events of the present instant in order of posting.
// Without it every hop of a link without delay would cost two heap operations.
type fifo struct {
	items []event[arrival]
	first int
}

func (f *fifo) len() int { return len(f.items) - f.first }

func (f *fifo) push(at int64, seq uint64, a arrival) {
	f.items = append(f.items, event[arrival]{due{at, seq}, a})
}

// pop takes the first event of a fifo that is not empty.
func (f *fifo) pop() event[arrival] {
	e := f.items[f.first]
	f.items[f.first] = event[arrival]{}
	f.first++
	switch {
	case f.first == len(f.items):
		f.items, f.first = f.items[:0], 0
	case f.first >= 1024 && 2*f.first >= len(f.items):
		// More dead than alive: an instant that never ends must not grow.
		n := copy(f.items, f.items[f.first:])
		clear(f.items[n:])
		f.items, f.first = f.items[:n], 0
	}
	return e
}

// arrival is a packet event: a frame for a receiver, or work for a point.
type arrival struct {
	to    Receiver
	frame []byte
	id    uint64
	point string
	fn    func(now int64)
}

// Timer is a call that waits for its time (Loop.After).
type Timer struct{ fn func(now int64) } // nil when stopped or fired

// Stop prevents the call; stopping twice, or after the call, does nothing.
func (t *Timer) Stop() { t.fn = nil }
