package winnat

// timers is a binary heap of the times at which sessions are to be looked at.
// A refresh only moves a session's own deadline: the heap is put right when
// the old time comes, so a busy session costs one heap operation per lifetime,
// not per packet. The time in the heap is never after the deadline.
type timers struct {
	heap []timer
}

type timer struct {
	at int64
	s  uint32 // session
}

// push adds session i and records its place in it.
func (t *timers) push(all []session, i uint32, at int64) {
	t.heap = append(t.heap, timer{at, i})
	all[i].pos = int32(len(t.heap) - 1)
	t.up(all, len(t.heap)-1)
}

// remove takes session i out.
func (t *timers) remove(all []session, i uint32) {
	at := int(all[i].pos)
	last := len(t.heap) - 1
	moved := t.heap[last]
	t.heap = t.heap[:last]
	if at == last {
		return
	}
	t.set(all, at, moved)
	t.down(all, at)
	t.up(all, at)
}

// earlier moves session i forward, when its deadline has become nearer.
func (t *timers) earlier(all []session, i uint32, at int64) {
	pos := int(all[i].pos)
	if t.heap[pos].at > at {
		t.heap[pos].at = at
		t.up(all, pos)
	}
}

// later moves the first entry back.
func (t *timers) later(all []session, at int64) {
	t.heap[0].at = at
	t.down(all, 0)
}

func (t *timers) set(all []session, pos int, e timer) {
	t.heap[pos] = e
	all[e.s].pos = int32(pos)
}

func (t *timers) up(all []session, pos int) {
	e := t.heap[pos]
	for pos > 0 {
		parent := (pos - 1) / 2
		if t.heap[parent].at <= e.at {
			break
		}
		t.set(all, pos, t.heap[parent])
		pos = parent
	}
	t.set(all, pos, e)
}

func (t *timers) down(all []session, pos int) {
	e := t.heap[pos]
	for {
		c := 2*pos + 1
		if c >= len(t.heap) {
			break
		}
		if c+1 < len(t.heap) && t.heap[c+1].at < t.heap[c].at {
			c++
		}
		if t.heap[c].at >= e.at {
			break
		}
		t.set(all, pos, t.heap[c])
		pos = c
	}
	t.set(all, pos, e)
}

// expire removes sessions whose time has come, at most budget looks, and
// reports whether it is done. A session is gone when its lifetime has passed
// since the packet that last refreshed it, to the nanosecond.
func (n *NAT) expire(now int64, budget int) bool {
	t := &n.timers
	for ; len(t.heap) > 0 && t.heap[0].at <= now; budget-- {
		if budget == 0 {
			return false
		}
		i := t.heap[0].s
		s := &n.sessions[i]
		if n.pull(s); s.deadline > now {
			t.later(n.sessions, s.deadline)
			continue
		}
		n.remove(i)
	}
	return true
}

// expireAll is expire to the end: what every decision that may create or
// refuse state starts with, since a free port or a filter must not depend on
// when Tick ran.
func (n *NAT) expireAll(now int64) {
	if len(n.timers.heap) > 0 && n.timers.heap[0].at <= now {
		n.expire(now, -1)
	}
}
