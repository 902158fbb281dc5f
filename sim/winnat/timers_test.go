package winnat

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Each timer is met twice: with a packet one second before it ends and one
// second after.
func TestTimersOfTheContract(t *testing.T) {
	strict := func(c *Config) { c.Timers = StrictTimers() }
	const (
		udpOpen  = "0s out udp cn1:5000>x:53 -> udp h1:50001>x:53\n"
		udpIn    = "in udp x:53>h1:50001 -> "
		udpBack  = "udp x:53>cn1:5000"
		pingOpen = "0s out echo cn1:1>x -> echo h1:50001>x\n"
		pingIn   = "in reply x>h1:50001 -> "
		pingBack = "reply x>cn1:1"
		synOut   = "0s out tcp cn1:5000>x:443 S -> tcp h1:50001>x:443 S\n"
		tcpIn    = "in tcp x:443>h1:50001 A -> "
		tcpBack  = "tcp x:443>cn1:5000 A"
		open3    = synOut + `
			0s in  tcp x:443>h1:50001 SA -> tcp x:443>cn1:5000 SA
			0s out tcp cn1:5000>x:443 A  -> tcp h1:50001>x:443 A
			`
		finOne = open3 + `
			900s out tcp cn1:5000>x:443 FA -> tcp h1:50001>x:443 FA
			`
		finBoth = open3 + `
			0s out tcp cn1:5000>x:443 FA -> tcp h1:50001>x:443 FA
			0s in  tcp x:443>h1:50001 FA -> tcp x:443>cn1:5000 FA
			`
	)
	tests := []struct {
		name    string
		config  func(*Config)
		prepare string
		in      string
		alive   string
		limit   int
	}{
		{"3.3 UDP 120 s", nil, udpOpen, udpIn, udpBack, 120},
		{"3.3 UDP 120 s, strict", strict, udpOpen, udpIn, udpBack, 120},
		{"3.3 ICMP query 30 s", nil, pingOpen, pingIn, pingBack, 30},
		{"3.3 ICMP query 60 s, strict", strict, pingOpen, pingIn, pingBack, 60},
		{"3.3 TCP half open 120 s", nil, synOut, tcpIn, tcpBack, 120},
		{"3.3 TCP half open 240 s, strict", strict, synOut, tcpIn, tcpBack, 240},
		{"3.3 TCP established 1800 s", nil, open3, tcpIn, tcpBack, 1800},
		{"3.3 TCP established 7440 s, strict", strict, open3, tcpIn, tcpBack, 7440},
		{"3.3 TCP half closed 1800 s", nil, finOne, tcpIn, tcpBack, 900 + 1800},
		{"3.3 TCP closing 120 s", nil, finBoth, tcpIn, tcpBack, 120},
		{"3.3 TCP closing 240 s, strict", strict, finBoth, tcpIn, tcpBack, 240},
		{"3.3 UDP as set", func(c *Config) { c.Timers.UDP = 300 * time.Second }, udpOpen, udpIn, udpBack, 300},
	}
	for _, tt := range tests {
		for _, ticked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, ticked %v", tt.name, ticked), func(t *testing.T) {
				for _, when := range []struct {
					at   int
					want string
				}{{tt.limit - 1, tt.alive}, {tt.limit + 1, "drop NoMapping"}} {
					l := newLab(t, tt.config)
					l.run(tt.prepare)
					if ticked {
						l.n.Tick(int64(seconds(when.at)))
					}
					l.run(fmt.Sprintf("%ds %s %s", when.at, tt.in, when.want))
				}
			})
		}
	}
}

func TestWhoKeepsASessionAlive(t *testing.T) {
	tests := []struct {
		name   string
		config func(*Config)
		script string
	}{
		{"3.3 UDP: inbound packets do not", nil, `
			0s   out udp cn1:5000>x:53 -> udp h1:50001>x:53
			60s  in  udp x:53>h1:50001 -> udp x:53>cn1:5000
			119s in  udp x:53>h1:50001 -> udp x:53>cn1:5000
			121s in  udp x:53>h1:50001 -> drop NoMapping`},
		{"3.3 UDP: inbound packets of other ports of the peer do not", nil, `
			0s   out udp cn1:5000>x:53 -> udp h1:50001>x:53
			119s in  udp x:99>h1:50001 -> udp x:99>cn1:5000
			121s in  udp x:99>h1:50001 -> drop NoMapping`},
		{"3.3 UDP: inbound packets do with UDPInboundRefresh", func(c *Config) { c.Timers.UDPInboundRefresh = true }, `
			0s   out udp cn1:5000>x:53 -> udp h1:50001>x:53
			119s in  udp x:53>h1:50001 -> udp x:53>cn1:5000
			238s in  udp x:53>h1:50001 -> udp x:53>cn1:5000
			359s in  udp x:53>h1:50001 -> drop NoMapping`},
		{"3.3 UDPInboundRefresh is for UDP only", func(c *Config) { c.Timers.UDPInboundRefresh = true }, `
			0s   out echo cn1:1>x      -> echo h1:50001>x
			29s  in  reply x>h1:50001  -> reply x>cn1:1
			31s  in  reply x>h1:50001  -> drop NoMapping`},
		{"3.3 UDP: outbound packets do", nil, `
			0s   out udp cn1:5000>x:53 -> udp h1:50001>x:53
			119s out udp cn1:5000>x:53 -> udp h1:50001>x:53
			238s in  udp x:53>h1:50001 -> udp x:53>cn1:5000
			240s in  udp x:53>h1:50001 -> drop NoMapping`},
		{"NAT-13 the mapping lives as long as any of its sessions, the filter as long as its own", nil, `
			0s   out udp cn1:5000>x:53  -> udp h1:50001>x:53
			60s  out udp cn1:5000>x2:53 -> udp h1:50001>x2:53
			121s in  udp x:53>h1:50001  -> drop NatFiltered
			121s in  udp x2:53>h1:50001 -> udp x2:53>cn1:5000
			121s out udp cn1:5000>x:53  -> udp h1:50001>x:53
			181s in  udp x2:53>h1:50001 -> drop NatFiltered
			181s in  udp x:53>h1:50001  -> udp x:53>cn1:5000`},
		{"NAT-55 ICMP: replies do not", nil, `
			0s  out echo cn1:1>x      -> echo h1:50001>x
			29s in  reply x>h1:50001  -> reply x>cn1:1
			31s in  reply x>h1:50001  -> drop NoMapping`},
		{"3.3 TCP established: both directions do", nil, `
			0s    out tcp cn1:5000>x:443 S  -> tcp h1:50001>x:443 S
			0s    in  tcp x:443>h1:50001 SA -> tcp x:443>cn1:5000 SA
			0s    out tcp cn1:5000>x:443 A  -> tcp h1:50001>x:443 A
			1799s in  tcp x:443>h1:50001 A  -> tcp x:443>cn1:5000 A
			3598s out tcp cn1:5000>x:443 A  -> tcp h1:50001>x:443 A
			5399s out tcp cn1:5000>x:443 A  -> drop NoMapping`},
		{"3.3 TCP half open: repeated SYNs of the inside do, of the outside do not", nil, `
			0s   out tcp cn1:5000>x:443 S  -> tcp h1:50001>x:443 S
			119s out tcp cn1:5000>x:443 S  -> tcp h1:50001>x:443 S
			200s in  tcp x:443>h1:50001 S  -> tcp x:443>cn1:5000 S   # new to the tracker
			300s in  tcp x:443>h1:50001 S  -> tcp x:443>cn1:5000 S
			321s in  tcp x:443>h1:50001 S  -> drop NoMapping`},
		{"3.3 TCP closing: what follows does not", nil, `
			0s   out tcp cn1:5000>x:443 S  -> tcp h1:50001>x:443 S
			0s   in  tcp x:443>h1:50001 SA -> tcp x:443>cn1:5000 SA
			0s   out tcp cn1:5000>x:443 A  -> tcp h1:50001>x:443 A
			10s  out tcp cn1:5000>x:443 FA -> tcp h1:50001>x:443 FA
			20s  in  tcp x:443>h1:50001 FA -> tcp x:443>cn1:5000 FA
			130s out tcp cn1:5000>x:443 A  -> tcp h1:50001>x:443 A
			139s in  tcp x:443>h1:50001 FA -> tcp x:443>cn1:5000 FA
			141s in  tcp x:443>h1:50001 FA -> drop NoMapping`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { newLab(t, tt.config).run(tt.script) })
	}
}

func TestExpiryIsExactToTheNanosecond(t *testing.T) {
	for _, tt := range []struct {
		at   time.Duration
		want string
	}{{120*time.Second - 1, "udp x:53>cn1:5000"}, {120 * time.Second, "drop NoMapping"}} {
		l := newLab(t, nil)
		l.run("0s out udp cn1:5000>x:53 -> udp h1:50001>x:53")
		if got, _, _ := l.pass(tt.at, "in", mkFrame("udp x:53>h1:50001").Bytes()); got != tt.want {
			t.Errorf("at %v: %s, want %s", tt.at, got, tt.want)
		}
	}
}

func TestNewTimersCountFromTheNextPacketOn(t *testing.T) {
	l := newLab(t, nil)
	l.run(`
		0s out udp cn1:1>x:53  -> udp h1:50001>x:53
		0s out udp cn1:2>x:53  -> udp h1:50002>x:53`)
	l.apply(func(c *Config) { c.Timers.UDP = 10 * time.Second })
	l.run(`
		1s   out udp cn1:1>x:53   -> udp h1:50001>x:53
		12s  in  udp x:53>h1:50001 -> drop NoMapping      # 10 s after the packet at 1 s
		119s in  udp x:53>h1:50002 -> udp x:53>cn1:2      # still on the old timer`)
}

func TestNextTimeoutLeadsToEveryExpiry(t *testing.T) {
	l := newLab(t, nil)
	if _, ok := l.n.NextTimeout(); ok {
		t.Error("an idle translator wants to be called")
	}
	l.run(`
		0s  out udp cn1:1>x:53  -> udp h1:50001>x:53
		5s  out echo cn1:1>x    -> echo h1:50001>x
		20s out udp cn1:1>x:53  -> udp h1:50001>x:53`)
	var log []string
	for {
		at, ok := l.n.NextTimeout()
		if !ok {
			break
		}
		l.n.Tick(at)
		u := l.n.Usage(at)
		log = append(log, fmt.Sprintf("%v: udp %d, icmp %d", time.Duration(at), u.UDP.Sessions, u.ICMP.Sessions))
	}
	want := "35s: udp 1, icmp 0; 2m0s: udp 1, icmp 0; 2m20s: udp 0, icmp 0"
	if got := strings.Join(log, "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTickDoesABoundedAmountOfWork(t *testing.T) {
	l := newLab(t, nil)
	for i := range expiryBudget + 10 {
		l.n.Outbound(0, mkPacket(mkFrame(fmt.Sprintf("udp cn1:1>x:%d", i+1)).Bytes()), place("h1"))
	}
	now := int64(seconds(200))
	l.n.Tick(now)
	if left := l.n.timers.heap.len(); left != 10 {
		t.Errorf("%d sessions left after one tick", left)
	}
	l.n.Tick(now)
	if left := l.n.timers.heap.len(); left != 0 {
		t.Errorf("%d sessions left after two ticks", left)
	}
}
