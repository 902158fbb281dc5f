package wire

import (
	"errors"
	"fmt"
)

// MAC is an Ethernet address in transmission order. It is comparable; the zero
// value means "no address".
type MAC [6]byte

// Broadcast is the address of every station.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

var errMAC = errors.New("want six bytes in hexadecimal, as 00-15-5D-82-00-23")

// ParseMAC reads 00-15-5D-82-00-23, 00:15:5d:82:00:23, 0015.5d82.0023 and
// 00155d820023, in either case. Separators must be of one kind and stand where
// that notation puts them.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	group := 0 // hexadecimal digits between separators
	sep := byte(0)
	switch len(s) {
	case 12:
		group = 12
	case 14:
		group, sep = 4, '.'
	case 17:
		group, sep = 2, s[2]
	}
	if group == 0 || (group == 2 && sep != '-' && sep != ':') {
		return MAC{}, fmt.Errorf("MAC address %q: %w", s, errMAC)
	}
	for i, digit := 0, 0; i < len(s); i++ {
		if digit > 0 && digit%group == 0 && i%(group+1) == group {
			if s[i] != sep {
				return MAC{}, fmt.Errorf("MAC address %q: %w", s, errMAC)
			}
			continue
		}
		v, ok := fromHex(s[i])
		if !ok {
			return MAC{}, fmt.Errorf("MAC address %q: %w", s, errMAC)
		}
		m[digit/2] = m[digit/2]<<4 | v
		digit++
	}
	return m, nil
}

// MustMAC is ParseMAC for constants: it panics on an error.
func MustMAC(s string) MAC {
	m, err := ParseMAC(s)
	if err != nil {
		panic("wire.MustMAC: " + err.Error())
	}
	return m
}

func fromHex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// String is the address as Windows prints it: upper case, dashes.
func (m MAC) String() string {
	b, _ := m.AppendText(make([]byte, 0, 17))
	return string(b)
}

// AppendText implements encoding.TextAppender.
func (m MAC) AppendText(b []byte) ([]byte, error) {
	const digits = "0123456789ABCDEF"
	for i, v := range m {
		if i > 0 {
			b = append(b, '-')
		}
		b = append(b, digits[v>>4], digits[v&15])
	}
	return b, nil
}

// MarshalText implements encoding.TextMarshaler. The zero MAC is the empty
// text, as an absent address is in documents.
func (m MAC) MarshalText() ([]byte, error) {
	if m.IsZero() {
		return []byte{}, nil
	}
	return m.AppendText(nil)
}

// UnmarshalText implements encoding.TextUnmarshaler; it reads what ParseMAC
// reads, and the empty text as the zero MAC.
func (m *MAC) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*m = MAC{}
		return nil
	}
	v, err := ParseMAC(string(b))
	if err != nil {
		return err
	}
	*m = v
	return nil
}

// IsZero reports whether no address is set.
func (m MAC) IsZero() bool { return m == MAC{} }

// IsBroadcast reports whether the address is that of every station.
func (m MAC) IsBroadcast() bool { return m == Broadcast }

// IsMulticast reports whether the group bit is set, which it also is in the
// broadcast address.
func (m MAC) IsMulticast() bool { return m[0]&1 != 0 }

// IsLocal reports whether the address is locally administered.
func (m MAC) IsLocal() bool { return m[0]&2 != 0 }
