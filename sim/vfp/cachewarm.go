package vfp

import "unsafe"

// Warm brings the memory that lookups of the keys are going to read into the
// cache, stage by stage, so that the misses of a batch overlap instead of
// queueing: at 100,000 flows that makes up for most of the distance to memory.
// It leaves in each key where its entry seems to be, and reports how many seem to
// have none. It takes at most BatchSize keys.
func (c *Cache) Warm(keys []Key) (missing int) {
	far := c.Len() >= warmAt && len(keys) > 1
	lines := &c.store.lines
	if far {
		for i := range keys {
			k := &keys[i]
			if k.v6 {
				lines.at[i] = uintptr(unsafe.Pointer(&c.v6.slots[tagOf(k.hash)&c.v6.mask]))
			} else {
				lines.at[i] = uintptr(unsafe.Pointer(&c.v4.slots[tagOf(k.hash)&c.v4.mask]))
			}
		}
		prefetch(&lines.at, len(keys))
	}
	slots, mask := c.v4.slots, c.v4.mask
	for i := range keys {
		k := &keys[i]
		if k.v6 {
			if k.hint = c.v6.guess(k.hash); k.hint == 0 {
				missing++
			}
			continue
		}
		tag := tagOf(k.hash)
		at := tag & mask
		for slots[at].tag != tag && slots[at].ref != 0 {
			at = (at + 1) & mask
		}
		if k.hint = slots[at].ref; k.hint == 0 {
			missing++
		}
	}
	if !far {
		return missing
	}
	n := 0
	for i := range keys {
		k := &keys[i]
		if k.hint == 0 {
			continue
		}
		at, size := uintptr(unsafe.Pointer(c.v4.node(k.hint-1))), 2
		if k.v6 {
			at, size = uintptr(unsafe.Pointer(c.v6.node(k.hint-1))), 3
		}
		for ; size > 0; size-- {
			lines.at[n&(maxLines-1)] = at
			at += lineSize
			n++
		}
	}
	prefetch(&lines.at, min(n, maxLines))
	return missing
}

// warmAt is a number of entries that fit near caches.
const warmAt = 512
