package winnat

import (
	"bytes"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

// fuzzLab is a translator with some flows, so that a mutated frame has a
// chance to meet one.
func fuzzLab(t *testing.T) *lab {
	l := newLab(t, func(c *Config) {
		c.Static = []StaticMapping{publish8080}
		c.LoopbackPublish, c.TCPSeqCheck, c.RewriteIPID = true, true, true
	})
	for _, s := range []struct{ where, text string }{
		{"out", "tcp cn1:49700>x:443 S"},
		{"out", "udp cn1:5000>x:53"},
		{"out", "echo cn1:7>x"},
		{"in", "tcp x:40000>h1:8080 S"},
		{"back", "tcp cn2:41000>h1:8080 S"},
		{"host", "tcp lo:6000>lo:8080 S"},
	} {
		if _, _, res := l.pass(0, s.where, mkFrame(s.text).Bytes()); res.Verdict != Translated {
			t.Fatalf("%s: %v", s.text, res)
		}
	}
	return l
}

// fuzzPass checks what pass checks (checksums, Meta, bytes that may change) on
// an arbitrary frame, and then the tables.
func fuzzPass(t *testing.T, frame []byte, where ...string) {
	l := fuzzLab(t)
	for i, w := range where {
		if len(frame) > 65535+18 {
			return
		}
		l.pass(time.Duration(i)*time.Second, w, bytes.Clone(frame))
	}
	l.n.checkState(t)
	l.n.Tick(int64(seconds(10_000)))
	if u := l.n.Usage(int64(seconds(10_000))); u.TCP.Mappings+u.UDP.Mappings+u.ICMP.Mappings+u.FragmentsHeld != 0 {
		t.Errorf("left after everything has expired: %+v", u)
	}
}

func FuzzOutbound(f *testing.F) {
	for _, text := range []string{
		"tcp cn1:49700>x:443 A", "udp cn2:5000>x:53", "udp cn1:5000>x:53 nosum", "echo cn1:7>x", "sctp cn1>x",
		"tcp cn1:80>x:40000 SA", "tcp cn1:80>h1:50001 SA", "tcp cn2:9>h1:8080 S",
	} {
		f.Add(mkFrame(text).Bytes())
	}
	f.Add(mkError("cn1", mkFrame("tcp x:40000>cn1:80 S").Bytes(), 8))
	f.Add(mkError("cn1", mkFrame("tcp h1:50001>cn1:80 S").Bytes(), 40))
	for _, frag := range mkDatagram("udp cn1:5000>x:53", 9) {
		f.Add(frag)
	}
	f.Fuzz(func(t *testing.T, frame []byte) { fuzzPass(t, frame, "out", "back", "out-b", "out") })
}

func FuzzInbound(f *testing.F) {
	for _, text := range []string{
		"tcp x:443>h1:50001 SA", "udp x:53>h1:50001", "udp x2:53>h1:50001", "reply x>h1:50001", "echo x:50001>h1",
		"tcp x:9>h1:8080 S", "tcp lo:6000>lo:8080 A", "gre x>h1",
	} {
		f.Add(mkFrame(text).Bytes())
	}
	f.Add(mkError("r", mkFrame("udp h1:50001>x:53").Bytes(), 8))
	f.Add(mkError("r", mkFrame("echo h1:50001>x").Bytes(), 40))
	f.Add(mkError("x", mkFrame("tcp h1:50001>x:443 A").Bytes(), 40))
	tagged := mkFrame("udp x:53>h1:50001")
	tagged.VLAN = &wire.VLANFields{ID: 7}
	f.Add(tagged.Bytes())
	for _, frag := range mkDatagram("udp x:53>h1:50001", 9) {
		f.Add(frag)
	}
	f.Fuzz(func(t *testing.T, frame []byte) { fuzzPass(t, frame, "in", "host", "in") })
}
