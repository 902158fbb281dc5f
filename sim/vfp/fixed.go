package vfp

// Fixed reports whether what happens to plain packets with the key, which has
// been looked up, depends on nothing but the generation and their length: no
// layer flow is asked or told, and nothing is changed. limit is the longest
// frame. Whoever knows that may carry such packets past the table and tell it
// afterwards (Passed, Credit).
func (c *Cache) Fixed(k *Key, gen uint64) (limit int, ok bool) {
	if !k.plain || k.at != 0 {
		return 0, false
	}
	e := c.find4(k)
	if e == nil || e.gen != uint32(gen) || e.kind != 0 || c.restOf(k).nRefs > 0 {
		return 0, false
	}
	return int(e.limit), e.limit > 0
}

// Passed counts packets that found their entry elsewhere.
func (c *Cache) Passed(packets uint64) {
	c.Stats.Hits += packets
	c.Stats.Quick += packets
}

// Credit adds packets that have passed the table to the entry of their flow, if
// there is one. words are those of its key: addresses, ports and protocol,
// Ethernet addresses.
func (c *Cache) Credit(now int64, words [4]uint64, packets uint32) {
	var k Key
	k.fill(words[0], words[1], words[2], words[3])
	if e := c.find4(&k); e != nil && packets > 0 {
		e.seen = now
		e.Packets += packets
		e.settled += packets // there are no layer flows to tell
	}
}
