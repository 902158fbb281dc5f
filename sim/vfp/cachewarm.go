package vfp

import "unsafe"

// Warm brings the memory that lookups of the keys are going to read into the
// cache, stage by stage, so that the misses of a batch overlap instead of
// queueing: at 100,000 flows that makes up for most of the distance to memory.
// It takes at most BatchSize keys.
func (c *Cache) Warm(keys []Key) {
	lines := &c.store.lines
	if c.Len() < warmAt || len(keys) == 1 {
		return // it is all there
	}
	for i := range keys {
		if k := &keys[i]; k.ok {
			x := c.indexOf(k)
			lines.Add(unsafe.Pointer(&x.slots[tagOf(k.hash)&x.mask]))
		}
	}
	lines.Prefetch()
	for i := range keys {
		k := &keys[i]
		if !k.ok {
			continue
		}
		x := c.indexOf(k)
		if s := x.slots[tagOf(k.hash)&x.mask]; s.tag == tagOf(k.hash) {
			k.hint = s.ref
		}
		switch {
		case k.hint == 0:
		case k.v6:
			n := unsafe.Pointer(c.v6.node(k.hint - 1))
			lines.Add(n)
			lines.Add(unsafe.Add(n, lineSize))
			lines.Add(unsafe.Add(n, 2*lineSize))
		default:
			n := unsafe.Pointer(c.v4.node(k.hint - 1))
			lines.Add(n)
			lines.Add(unsafe.Add(n, lineSize))
		}
	}
	lines.Prefetch()
	if c.store.live < warmAt {
		return
	}
	for i := range keys {
		e := c.hinted(&keys[i])
		if e == nil {
			continue
		}
		for i, n := range e.quick.runs {
			switch n {
			case 0, farRuns:
			case watchRun:
				lines.Add(unsafe.Pointer(c.store.watched(e.refs[i].id)))
			default:
				h := unsafe.Pointer(c.store.hot(e.refs[i].id >> 1))
				lines.Add(h)
				if n > 1 {
					lines.Add(unsafe.Add(h, uintptr(n-1)*unsafe.Sizeof(flowHot{})))
				}
			}
		}
	}
	lines.Prefetch()
}

// warmAt is a number of entries that fit near caches.
const warmAt = 512

func (c *Cache) indexOf(k *Key) *index {
	if k.v6 {
		return &c.v6.index
	}
	return &c.v4.index
}

// hinted is the entry that a key's hint names, which is mostly the right one.
func (c *Cache) hinted(k *Key) *Entry {
	switch {
	case k.hint == 0:
		return nil
	case k.v6:
		return &c.v6.node(k.hint - 1).e
	}
	return &c.v4.node(k.hint - 1).e
}
