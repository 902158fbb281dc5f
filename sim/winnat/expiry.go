package winnat

// timers is a binary heap of the times at which sessions are to be looked at.
// A refresh only moves a session's own deadline: the heap is put right when
// the old time comes, so a busy session costs one heap operation per lifetime,
// not per packet. The time in the heap is never after the deadline.
type timers struct {
	heap list[timer]
}

type timer struct {
	at int64
	s  uint32 // session
}

// push adds session i and records its place in it.
func (t *timers) push(all *list[session], i uint32, at int64) {
	pos := t.heap.push(timer{at, i})
	all.at(i).pos = pos
	t.up(all, pos)
}

// remove takes session i out.
func (t *timers) remove(all *list[session], i uint32) {
	at := all.at(i).pos
	moved := t.heap.pop()
	if int(at) == t.heap.len() {
		return
	}
	t.set(all, at, moved)
	t.down(all, at)
	t.up(all, at)
}

// earlier moves session i forward, when its deadline has become nearer.
func (t *timers) earlier(all *list[session], i uint32, at int64) {
	pos := all.at(i).pos
	if e := t.heap.at(pos); e.at > at {
		e.at = at
		t.up(all, pos)
	}
}

// later moves the first entry back.
func (t *timers) later(all *list[session], at int64) {
	t.heap.at(0).at = at
	t.down(all, 0)
}

// first is when a session is next to be looked at, and which.
func (t *timers) first() (e timer, ok bool) {
	if t.heap.len() == 0 {
		return timer{}, false
	}
	return *t.heap.at(0), true
}

func (t *timers) set(all *list[session], pos uint32, e timer) {
	*t.heap.at(pos) = e
	all.at(e.s).pos = pos
}

func (t *timers) up(all *list[session], pos uint32) {
	e, start := *t.heap.at(pos), pos
	for pos > 0 {
		parent := (pos - 1) / 2
		if t.heap.at(parent).at <= e.at {
			break
		}
		t.set(all, pos, *t.heap.at(parent))
		pos = parent
	}
	if pos != start {
		t.set(all, pos, e)
	}
}

func (t *timers) down(all *list[session], pos uint32) {
	e, n := *t.heap.at(pos), uint32(t.heap.len())
	for {
		c := 2*pos + 1
		if c >= n {
			break
		}
		if c+1 < n && t.heap.at(c+1).at < t.heap.at(c).at {
			c++
		}
		if t.heap.at(c).at >= e.at {
			break
		}
		t.set(all, pos, *t.heap.at(c))
		pos = c
	}
	t.set(all, pos, e)
}

// expire removes sessions whose time has come, at most budget looks, and
// reports whether it is done. A session is gone when its lifetime has passed
// since the packet that last refreshed it, to the nanosecond.
func (n *NAT) expire(now int64, budget int) bool {
	t := &n.timers
	for ; ; budget-- {
		e, ok := t.first()
		switch {
		case !ok || e.at > now:
			return true
		case budget == 0:
			return false
		}
		s := n.sessions.at(e.s)
		if n.pull(s); s.deadline > now {
			t.later(&n.sessions, s.deadline)
			continue
		}
		n.remove(e.s)
	}
}

// expireAll is expire to the end: what every decision that may create or
// refuse state starts with, since a free port or a filter must not depend on
// when Tick ran.
func (n *NAT) expireAll(now int64) {
	n.expire(now, -1)
}
