package wire

// FragmentIPv4 cuts an IPv4 frame into fragments that carry sizes[0], sizes[1],
// ... bytes of the datagram's payload, and one more with what is left. Sizes
// are rounded down to multiples of 8, as offsets demand; those below 8 are
// skipped. DF is ignored and cleared: whether to cut is the caller's decision.
// The fragments are fresh frames without padding; a fragment is cut into
// fragments of the original datagram. It returns nil if frame is not IPv4.
func FragmentIPv4(frame []byte, sizes []int) [][]byte {
	var m Meta
	Parse(frame, &m)
	if !m.IsIPv4 {
		return nil
	}
	var out [][]byte
	data := frame[m.L4:m.End]
	at := 0
	for _, n := range sizes {
		n &^= 7
		if n < 8 || at+n >= len(data) {
			continue
		}
		out = append(out, cutIPv4(frame, &m, at, n, true))
		at += n
	}
	return append(out, cutIPv4(frame, &m, at, len(data)-at, false))
}

// cutIPv4 makes the fragment of n bytes of m's payload at offset at.
func cutIPv4(frame []byte, m *Meta, at, n int, more bool) []byte {
	orig := IPv4(frame[m.L3:m.End])
	opts := orig.Options()
	if at > 0 {
		opts = copiedOptions(opts)
	}
	hl := IPv4MinLen + len(opts)
	f := make([]byte, 0, m.L2Len+hl+n)
	f = append(f, frame[:m.L3+IPv4MinLen]...)
	f = append(append(f, opts...), frame[m.L4+at:m.L4+at+n]...)
	ip := IPv4(f[m.L3:])
	ip.SetHeaderLen(hl)
	ip.SetTotalLen(hl + n)
	ip.SetFrag(false, more || orig.MF(), orig.FragOffset()+at)
	ip.SetChecksum(0)
	ip.SetChecksum(Checksum(ip[:hl]))
	return f
}

// copiedOptions are the options that later fragments repeat: those with the
// copied flag (RFC 791 section 3.1), padded. Options after a malformed one are
// lost.
func copiedOptions(opts []byte) []byte {
	var out []byte
	for i := 0; i < len(opts); {
		if opts[i] == 0 {
			break
		}
		if opts[i] == 1 {
			i++
			continue
		}
		if i+2 > len(opts) || opts[i+1] < 2 || i+int(opts[i+1]) > len(opts) {
			break
		}
		n := int(opts[i+1])
		if opts[i]&0x80 != 0 {
			out = append(out, opts[i:i+n]...)
		}
		i += n
	}
	for len(out)%4 != 0 {
		out = append(out, 0)
	}
	return out
}

// Fragment cuts an IP frame into fragments whose datagrams are at most mtu
// bytes. A frame that fits comes back as the only element, not copied. id is
// the identification of IPv6 fragments, IPv4 has one already. It reports false
// if the packet must not or cannot be cut: IPv4 with DF, an IPv6 fragment
// (routers do not cut, and a sender does it once), an MTU with no room for
// eight bytes of payload, not IP.
func Fragment(frame []byte, mtu int, id uint32) ([][]byte, bool) {
	var m Meta
	Parse(frame, &m)
	switch {
	case !m.IsIP():
		return nil, false
	case m.L3Len() <= mtu:
		return [][]byte{frame}, true
	case m.IsIPv4:
		return fragment4(frame, &m, mtu)
	}
	return fragment6(frame, &m, mtu, id)
}

func fragment4(frame []byte, m *Meta, mtu int) ([][]byte, bool) {
	step := (mtu - (m.L4 - m.L3)) &^ 7
	if step < 8 || IPv4(frame[m.L3:]).DF() {
		return nil, false
	}
	var out [][]byte
	n := m.End - m.L4
	for at := 0; at < n; at += step {
		out = append(out, cutIPv4(frame, m, at, min(step, n-at), at+step < n))
	}
	return out, true
}

func fragment6(frame []byte, m *Meta, mtu int, id uint32) ([][]byte, bool) {
	ip := frame[m.L3:m.End]
	fixed, nextAt := unfragmentable(ip)
	step := (mtu - fixed - FragmentLen) &^ 7
	if step < 8 || m.FragHeader != 0 {
		return nil, false
	}
	var out [][]byte
	data := ip[fixed:]
	for at := 0; at < len(data); at += step {
		n := min(step, len(data)-at)
		f := make([]byte, 0, m.L3+fixed+FragmentLen+n)
		f = append(f, frame[:m.L3+fixed]...)
		f = append(f, make([]byte, FragmentLen)...)
		IPv6Fragment(f[m.L3+fixed:]).Set(ip[nextAt], at, at+n < len(data), id)
		f[m.L3+nextAt] = ProtoFragment
		f = append(f, data[at:at+n]...)
		IPv6(f[m.L3:]).SetPayloadLen(fixed - IPv6Len + FragmentLen + n)
		out = append(out, f)
	}
	return out, true
}

// unfragmentable is the length of what every IPv6 fragment repeats: the fixed
// header and everything up to a routing header, else hop-by-hop options (RFC
// 8200 section 4.5). nextAt is where that part names its successor. ip is a
// packet that Parse found sane.
func unfragmentable(ip []byte) (fixed, nextAt int) {
	fixed, nextAt = IPv6Len, ip6NextHeader
	at, proto := IPv6Len, ip[ip6NextHeader]
	for proto == ProtoHopByHop || proto == ProtoRouting || proto == ProtoDestOpts {
		n := (int(ip[at+1]) + 1) * 8
		if proto != ProtoDestOpts {
			fixed, nextAt = at+n, at
		}
		proto, at = ip[at], at+n
	}
	return fixed, nextAt
}
