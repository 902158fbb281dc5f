package winnat

import (
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// The inside is cn1:5000 = h1:50001, the outside x:443. "> SA" is a segment
// from the inside, "< SA" one from outside.
func TestTCPStates(t *testing.T) {
	tests := []struct {
		name     string
		segments string
		want     string // state after each segment
	}{
		{"active open", "> S, < SA, > A", "init init established"},
		{"data before the last ACK does not establish", "> S, < SA, < A", "init init init"},
		{"an ACK to a SYN that was not answered does not establish", "> S, > A, < A", "init init init"},
		{"simultaneous open", "> S, < S, > SA, < SA", "init init init established"},
		{"simultaneous open, the other SYN ACK first", "> S, < S, < SA, > SA", "init init init established"},
		{"FIN of the inside first", "> S, < SA, > A, > FA, < A, < FA, > A", "init init established closing1 closing1 closing closing"},
		{"FIN of the outside first", "> S, < SA, > A, < FA, > A, > FA, < A", "init init established closing1 closing1 closing closing"},
		{"FINs that cross", "> S, < SA, > A, > FA, < FA", "init init established closing1 closing"},
		{"FIN twice from one side is one FIN", "> S, < SA, > A, > FA, > FA", "init init established closing1 closing1"},
		{"FIN of a half open connection", "> S, > FA", "init init"},
		{"reset of a half open connection", "> S, < RA", "init reset"},
		{"reset by the outside", "> S, < SA, > A, < R", "init init established reset"},
		{"reset by the inside", "> S, < SA, > A, > R", "init init established reset"},
		{"reset while closing", "> S, < SA, > A, > FA, < R", "init init established closing1 reset"},
		{"reset after closing", "> S, < SA, > A, > FA, < FA, > R", "init init established closing1 closing reset"},
		{"data after a reset changes nothing", "> S, < SA, > A, < R, > A, < A", "init init established reset reset reset"},
		{"a new SYN of the inside after a reset starts afresh", "> S, < SA, > A, < R, > S, < SA, > A", "init init established reset init init established"},
		{"a new SYN of the inside after both FINs starts afresh", "> S, < SA, > A, > FA, < FA, > S", "init init established closing1 closing init"},
		{"a SYN of the outside after a reset does not", "> S, < SA, > A, < R, < S", "init init established reset reset"},
		{"a SYN in an open connection does not", "> S, < SA, > A, > S", "init init established established"},
		{"a repeated SYN", "> S, > S, < SA, > A", "init init init established"},
		{"a SYN with FIN is no new connection", "> S, < SA, > A, < R, > SF", "init init established reset reset"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, nil)
			var states []string
			for _, seg := range strings.Split(tt.segments, ", ") {
				where, text, want := "out", "tcp cn1:5000>x:443 ", "tcp h1:50001>x:443 "
				if seg[0] == '<' {
					where, text, want = "in", "tcp x:443>h1:50001 ", "tcp x:443>cn1:5000 "
				}
				flags := seg[2:]
				if got, _, _ := l.pass(0, where, mkFrame(text+flags).Bytes()); !strings.HasPrefix(got, want) {
					t.Fatalf("%s: %s", seg, got)
				}
				states = append(states, l.n.Sessions(0)[0].State)
			}
			if got := strings.Join(states, " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestTCPSessionsBeginWithASYN(t *testing.T) {
	newLab(t, nil).run(`
		0s out tcp cn1:5000>x:443 A   -> drop NoMapping
		0s out tcp cn1:5000>x:443 SA  -> drop NoMapping
		0s out tcp cn1:5000>x:443 FA  -> drop NoMapping
		0s out tcp cn1:5000>x:443 R   -> drop NoMapping
		0s out tcp cn1:5000>x:443 SF  -> drop NoMapping
		0s in  tcp x:443>h1:50001 A   -> not mine
		0s out tcp cn1:5000>x:443 S   -> tcp h1:50001>x:443 S
		0s out tcp cn1:5000>x2:443 A  -> drop NoMapping      # a mapping is no connection`)
}

func TestResetsUseTheTransientTimer(t *testing.T) {
	const open = `
		0s    out tcp cn1:5000>x:443 S  -> tcp h1:50001>x:443 S
		0s    in  tcp x:443>h1:50001 SA -> tcp x:443>cn1:5000 SA
		0s    out tcp cn1:5000>x:443 A  -> tcp h1:50001>x:443 A
		500s  in  tcp x:443>h1:50001 R  -> tcp x:443>cn1:5000 R
		`
	t.Run("3.3 a reset shortens the lifetime but does not end the session", func(t *testing.T) {
		newLab(t, nil).run(open + `
			619s  in  tcp x:443>h1:50001 A  -> tcp x:443>cn1:5000 A
			621s  in  tcp x:443>h1:50001 A  -> drop NoMapping`)
	})
	t.Run("3.3 a new SYN on the same tuple is accepted and again half open", func(t *testing.T) {
		newLab(t, nil).run(open + `
			500s  out tcp cn1:5000>x:443 S  -> tcp h1:50001>x:443 S
			619s  in  tcp x:443>h1:50001 SA -> tcp x:443>cn1:5000 SA
			620s  out tcp cn1:5000>x:443 A  -> tcp h1:50001>x:443 A
			2000s in  tcp x:443>h1:50001 A  -> tcp x:443>cn1:5000 A`)
	})
}

func TestInboundSYNsThroughTheFilter(t *testing.T) {
	newLab(t, nil).run(`
		0s    out tcp cn1:5000>x:443 S   -> tcp h1:50001>x:443 S
		0s    in  tcp x:444>h1:50001 S   -> tcp x:444>cn1:5000 S     # same address, other port
		0s    out tcp cn1:5000>x:444 SA  -> tcp h1:50001>x:444 SA
		0s    in  tcp x:444>h1:50001 A   -> tcp x:444>cn1:5000 A
		1799s in  tcp x:444>h1:50001 A   -> tcp x:444>cn1:5000 A     # an established connection like any other
		1799s in  tcp x:443>h1:50001 SA  -> tcp x:443>cn1:5000 SA    # by the filter: its own session is gone
		3600s in  tcp x:444>h1:50001 A   -> drop NoMapping`)
}

func TestOtherInboundSegmentsLeaveNoSession(t *testing.T) {
	newLab(t, nil).run(`
		0s    out tcp cn1:5000>x:443 S   -> tcp h1:50001>x:443 S
		119s  in  tcp x:444>h1:50001 A   -> tcp x:444>cn1:5000 A
		121s  in  tcp x:444>h1:50001 A   -> drop NoMapping`)
}

func TestAnInboundSYNOpensNoFilter(t *testing.T) {
	newLab(t, nil).run(`
		0s    out tcp cn1:5000>x:443 S   -> tcp h1:50001>x:443 S
		119s  in  tcp x:444>h1:50001 S   -> tcp x:444>cn1:5000 S
		121s  in  tcp x:445>h1:50001 S   -> drop NatFiltered          # the inside has never sent there
		121s  in  tcp x:444>h1:50001 S   -> tcp x:444>cn1:5000 S      # and repeating it does not extend it
		240s  in  tcp x:444>h1:50001 S   -> drop NoMapping`)
}

// seqFrame is a segment with numbers: window scale option if shift >= 0.
func seqFrame(text string, seq, ack uint32, win uint16, data, shift int) []byte {
	f := mkFrame(text)
	f.TCP.Seq, f.TCP.Ack, f.TCP.Window = seq, ack, win
	f.Payload = make([]byte, data)
	if shift >= 0 {
		f.TCP.Options = []byte{wire.TCPOptNop, 3, 3, byte(shift)}
	}
	return f.Bytes()
}

func TestTCPSeqCheck(t *testing.T) {
	const none = -1
	type seg struct {
		in       bool
		flags    string
		seq, ack uint32
		win      uint16
		data     int
		shift    int
		ok       bool
	}
	open := func(shift int) []seg {
		return []seg{
			{false, "S", 999, 0, 1000, 0, shift, true},
			{true, "SA", 4999, 1000, 2000, 0, shift, true},
			{false, "A", 1000, 5000, 1000, 0, none, true},
		}
	}
	tests := []struct {
		name string
		segs []seg
	}{
		{"data within the window", append(open(none), seg{false, "A", 1000, 5000, 1000, 2000, none, true}, seg{true, "A", 5000, 3000, 2000, 1000, none, true})},
		{"data up to one byte beyond the window, as a probe", append(open(none), seg{false, "A", 1000, 5000, 1000, 2001, none, true})},
		{"data beyond the window", append(open(none), seg{false, "A", 1000, 5000, 1000, 2002, none, false})},
		{"inbound data beyond the window", append(open(none), seg{true, "A", 5000, 1000, 2000, 1002, none, false})},
		{"the window moves with acknowledgments", append(open(none),
			seg{false, "A", 1000, 5000, 1000, 2000, none, true},
			seg{true, "A", 5000, 3000, 2000, 0, none, true},
			seg{false, "A", 3000, 5000, 1000, 2000, none, true})},
		{"a retransmission", append(open(none), seg{false, "A", 1000, 5000, 1000, 500, none, true}, seg{false, "A", 1000, 5000, 1000, 500, none, true})},
		{"data from long before the window", append(open(none), seg{false, "A", 1<<32 - 2000, 5000, 1000, 10, none, false})},
		{"an acknowledgment of what was not sent", append(open(none), seg{true, "A", 5000, 1001, 2000, 0, none, false})},
		{"an acknowledgment from long ago", append(open(none), seg{true, "A", 5000, 1<<32 - oldestAck + 999, 2000, 0, none, false})},
		{"the window scale counts if both have it", append(open(2), seg{true, "A", 5000, 1000, 2000, 0, none, true}, seg{false, "A", 1000, 5000, 1000, 8000, none, true})},
		{"and not if one has it", []seg{
			{false, "S", 999, 0, 1000, 0, 2, true}, {true, "SA", 4999, 1000, 2000, 0, none, true}, {false, "A", 1000, 5000, 1000, 0, none, true},
			{true, "A", 5000, 1000, 2000, 1002, none, false}}},
		{"data right behind the SYN ACK", append(open(none)[:2], seg{true, "A", 5000, 1000, 2000, 1000, none, true}, seg{true, "A", 6000, 1000, 2000, 2, none, false})},
		{"acknowledgments out of order", append(open(none),
			seg{false, "A", 1000, 5000, 1000, 2000, none, true},
			seg{true, "A", 5000, 3000, 2000, 0, none, true}, seg{true, "A", 5000, 2000, 2000, 0, none, true},
			seg{false, "A", 3000, 5000, 1000, 2000, none, true})},
		{"a retransmission after the window has closed", append(open(none),
			seg{false, "A", 1000, 5000, 1000, 2000, none, true}, seg{true, "A", 5000, 1000, 0, 0, none, true},
			seg{false, "A", 1000, 5000, 1000, 1000, none, true})},
		{"the numbers of a reset promise nothing", append(open(none),
			seg{true, "R", 5900, 0, 0, 0, none, true}, seg{false, "A", 1000, 5900, 1000, 0, none, false})},
		{"and only after the SYNs", append(open(2), seg{false, "A", 1000, 5000, 1000, 2002, none, false})},
		{"a reset in the window", append(open(none), seg{true, "R", 5000, 0, 0, 0, none, true})},
		{"a blind reset", append(open(none), seg{true, "R", 9000, 0, 0, 0, none, false})},
		{"a refused SYN", []seg{{false, "S", 999, 0, 1000, 0, none, true}, {true, "RA", 0, 1000, 0, 0, none, true}}},
		{"a forged refusal", []seg{{false, "S", 999, 0, 1000, 0, none, true}, {true, "RA", 0, 70000, 0, 0, none, false}, {true, "R", 0, 0, 0, 0, none, false}}},
		{"simultaneous open", []seg{
			{false, "S", 999, 0, 1000, 0, none, true}, {true, "S", 4999, 0, 2000, 0, none, true},
			{false, "SA", 999, 5000, 1000, 0, none, true}, {true, "SA", 4999, 1000, 2000, 0, none, true},
			{true, "A", 5000, 1000, 2000, 1000, none, true}, {true, "A", 6000, 1000, 2000, 1000, none, false}}},
		{"numbers wrap around", []seg{
			{false, "S", 1<<32 - 11, 0, 1000, 0, none, true}, {true, "SA", 1<<32 - 1, 1<<32 - 10, 2000, 0, none, true},
			{false, "A", 1<<32 - 10, 0, 1000, 100, none, true}, {true, "A", 0, 90, 2000, 500, none, true},
			{false, "FA", 90, 500, 1000, 0, none, true}, {true, "A", 500, 91, 2000, 0, none, true}}},
		{"a new connection on old ports has new numbers", append(open(none),
			seg{true, "R", 5000, 0, 0, 0, none, true}, seg{false, "S", 700000, 0, 1000, 0, none, true}, seg{true, "SA", 900000, 700001, 2000, 0, none, true})},
	}
	for _, tt := range tests {
		for _, checked := range []bool{true, false} {
			name := tt.name
			if !checked {
				name += ", knob off"
			}
			t.Run(name, func(t *testing.T) {
				l := newLab(t, func(c *Config) { c.TCPSeqCheck = checked })
				for i, s := range tt.segs {
					where, text := "out", "tcp cn1:5000>x:443 "
					if s.in {
						where, text = "in", "tcp x:443>h1:50001 "
					}
					got, _, res := l.pass(0, where, seqFrame(text+s.flags, s.seq, s.ack, s.win, s.data, s.shift))
					if want := s.ok || !checked; (res.Verdict == Translated) != want {
						t.Fatalf("segment %d: %s", i, got)
					}
					if res.Verdict != Translated && got != "drop NatFiltered" {
						t.Fatalf("segment %d: %s", i, got)
					}
				}
			})
		}
	}
}

func TestTCPSeqCheckRefusedSegmentsLeaveNoTrace(t *testing.T) {
	l := newLab(t, func(c *Config) { c.TCPSeqCheck = true })
	l.pass(0, "out", seqFrame("tcp cn1:5000>x:443 S", 999, 0, 1000, 0, -1))
	l.pass(0, "in", seqFrame("tcp x:443>h1:50001 SA", 4999, 1000, 2000, 0, -1))
	l.pass(0, "out", seqFrame("tcp cn1:5000>x:443 A", 1000, 5000, 1000, 0, -1))
	before := l.n.Sessions(0)[0]
	l.pass(seconds(10), "in", seqFrame("tcp x:443>h1:50001 R", 9000, 0, 0, 0, -1))
	if after := l.n.Sessions(0)[0]; after != before {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
}

func TestTCPSeqCheckBelievesConnectionsJoinedMidway(t *testing.T) {
	l := newLab(t, func(c *Config) { c.TCPSeqCheck = true; c.Static = []StaticMapping{publish8080} })
	for i, s := range []struct {
		where string
		frame []byte
	}{
		{"in", seqFrame("tcp x:6000>h1:8080 A", 1000, 5000, 10, 100, -1)},
		{"out", seqFrame("tcp cn1:80>x:6000 A", 5000, 1100, 10, 100, -1)},
		{"in", seqFrame("tcp x:6000>h1:8080 A", 1100, 5100, 10, 5000, -1)}, // the scale is not known
	} {
		if got, _, res := l.pass(0, s.where, s.frame); res.Verdict != Translated {
			t.Errorf("segment %d: %s", i, got)
		}
	}
}

func TestTCPSeqCheckWithFragments(t *testing.T) {
	l := newLab(t, func(c *Config) { c.TCPSeqCheck = true })
	l.pass(0, "out", seqFrame("tcp cn1:5000>x:443 S", 999, 0, 1000, 0, -1))
	l.pass(0, "in", seqFrame("tcp x:443>h1:50001 SA", 4999, 1000, 2000, 0, -1))
	l.pass(0, "out", seqFrame("tcp cn1:5000>x:443 A", 1000, 5000, 1000, 0, -1))
	whole := seqFrame("tcp cn1:5000>x:443 A", 1000, 5000, 1000, 200, -1)
	for _, f := range wire.FragmentIPv4(whole, []int{64}) {
		if got, _, res := l.pass(0, "out", f); res.Verdict != Translated {
			t.Error(got)
		}
	}
	// The answer acknowledges both fragments.
	if got, _, res := l.pass(0, "in", seqFrame("tcp x:443>h1:50001 A", 5000, 1200, 2000, 100, -1)); res.Verdict != Translated {
		t.Error(got)
	}
}

func TestWindowScaleOption(t *testing.T) {
	tests := []struct {
		name  string
		opt   []byte
		shift uint8
		ok    bool
	}{
		{"alone", []byte{3, 3, 7}, 7, true},
		{"behind others", []byte{2, 4, 5, 180, 1, 3, 3, 8, 1, 1}, 8, true},
		{"too large", []byte{3, 3, 200}, 14, true},
		{"none", []byte{2, 4, 5, 180}, 0, false},
		{"behind the end", []byte{0, 3, 3, 7}, 0, false},
		{"wrong length", []byte{3, 4, 7, 0}, 0, false},
		{"cut", []byte{3, 3}, 0, false},
		{"cut after the kind", []byte{3}, 0, false},
		{"length below two", []byte{5, 1, 3, 3, 7}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if shift, ok := windowScale(tt.opt); shift != tt.shift || ok != tt.ok {
				t.Errorf("%d %v", shift, ok)
			}
		})
	}
}
