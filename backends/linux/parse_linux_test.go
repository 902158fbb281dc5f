package linux

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// logMessage is what the kernel logs about a dropped packet.
func logMessage(prefix string, header, body []byte) []byte {
	attrs := append([]byte{unix.AF_BRIDGE, 0, 0, 0}, attribute(nfulaPrefix, append([]byte(prefix), 0))...)
	if header != nil {
		attrs = append(attrs, attribute(nfulaHWHeader, header)...)
	}
	attrs = append(attrs, attribute(nfulaPayload, body)...)
	return message(unix.NFNL_SUBSYS_ULOG<<8|nfulPacket, attrs)
}

func message(kind uint16, body []byte) []byte {
	msg := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	msg = binary.NativeEndian.AppendUint16(msg, kind)
	msg = append(msg, make([]byte, 10)...)
	msg = append(msg, body...)
	for len(msg)%4 != 0 {
		msg = append(msg, 0)
	}
	return msg
}

func TestDropLogReadsReasonPlaceAndFrame(t *testing.T) {
	d := &dropLog{node: "h1", place: func(id string) string { return "role of " + id }}
	header := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x06}
	b := append(logMessage("VfpBlock E1", header, []byte("packet")), logMessage("NoRoute", nil, []byte{0x60, 1})...)
	var got []sighting
	d.messages(b, func(s sighting) { got = append(got, s) })
	if len(got) != 2 {
		t.Fatalf("%d sightings of 2 messages", len(got))
	}
	if s := got[0]; s.reason != "VfpBlock" || s.where != "role of E1" || s.role != "h1" || string(s.frame) != string(header)+"packet" {
		t.Errorf("first: %+v", s)
	}
	if s := got[1]; s.reason != "NoRoute" || s.where != "" || binary.BigEndian.Uint16(s.frame[12:]) != unix.ETH_P_IPV6 {
		t.Errorf("second: %+v: a packet without Ethernet header gets an empty one of its version", s)
	}
}

func TestConnectionsAreReadByName(t *testing.T) {
	body := append([]byte{unix.AF_INET, 0, 0, 0}, attribute(ctaTupleOrig|unix.NLA_F_NESTED, []byte("12345678"))...)
	if c := parseConnection(body); c != nil {
		t.Errorf("an entry without time out is read as %+v", c)
	}
	c := parseConnection(append(body, attribute(ctaTimeout, []byte{0, 0, 0, 9})...))
	if c == nil || c.left != 9*time.Second || c.family != unix.AF_INET || len(c.names) != 12 {
		t.Errorf("got %+v", c)
	}
}

func FuzzDropLog(f *testing.F) {
	f.Add(logMessage("MacSpoof E1", make([]byte, 14), []byte("abc")))
	f.Add([]byte{20, 0, 0, 0})
	d := &dropLog{node: "h1", place: func(id string) string { return id }}
	f.Fuzz(func(t *testing.T, b []byte) {
		d.messages(b, func(s sighting) {
			if len(s.frame) < 14 {
				t.Errorf("a frame of %d bytes has no Ethernet header", len(s.frame))
			}
		})
	})
}

func FuzzConnections(f *testing.F) {
	f.Add(append([]byte{2, 0, 0, 0}, attribute(ctaTimeout, []byte{0, 0, 0, 9})...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c := parseConnection(b); c != nil && len(c.names) == 0 {
			t.Error("a connection without a name")
		}
		netlinkMessages(b, func(uint16, []byte) {})
	})
}

func FuzzPortRanges(f *testing.F) {
	f.Add("80,443,8000-8100")
	f.Add("-,1-")
	f.Fuzz(func(t *testing.T, text string) {
		first := portRanges(text)
		var parts []string
		for _, r := range first {
			parts = append(parts, fmt.Sprintf("%d-%d", r.lo, r.hi))
		}
		if again := portRanges(strings.Join(parts, ",")); !slices.Equal(first, again) {
			t.Errorf("%v, written and read again: %v", first, again)
		}
	})
}
