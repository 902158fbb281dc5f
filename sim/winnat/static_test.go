package winnat

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

func mapTo(proto uint8, ext uint16, inside string) StaticMapping {
	a, p := endpoint(inside)
	return StaticMapping{Proto: proto, ExternalPort: ext, Internal: netip.AddrPortFrom(a, p)}
}

func static8080(c *Config) { c.Static = []StaticMapping{publish8080} }

func TestStaticMappings(t *testing.T) {
	tests := []struct {
		name   string
		config func(*Config)
		script string
	}{
		{"NAT-30 destination rewritten, source kept, reply translated back", static8080, `
			0s in  tcp 10.127.130.200:40000>h1:8080 S  -> tcp 10.127.130.200:40000>cn1:80 S
			0s out tcp cn1:80>10.127.130.200:40000 SA  -> tcp h1:8080>10.127.130.200:40000 SA
			0s in  tcp 10.127.130.200:40000>h1:8080 A  -> tcp 10.127.130.200:40000>cn1:80 A`},
		{"NAT-30 from everywhere, without filter", static8080, `
			0s in tcp x:1>h1:8080 S   -> tcp x:1>cn1:80 S
			0s in tcp x2:1>h1:8080 S  -> tcp x2:1>cn1:80 S`},
		{"NAT-30 the protocol counts", static8080, `
			0s in udp x:1>h1:8080     -> not mine
			0s in tcp x:1>h1:80 S     -> not mine`},
		{"NAT-30 on every address of the host, the reply from the one that was used", static8080, `
			0s in  tcp x:1>h1b:8080 S -> tcp x:1>cn1:80 S
			0s out tcp cn1:80>x:1 SA  -> tcp h1b:8080>x:1 SA
			0s in  tcp x:2>h1:8080 S  -> tcp x:2>cn1:80 S
			0s out tcp cn1:80>x:2 SA  -> tcp h1:8080>x:2 SA`},
		{"NAT-31 with a VIP, only that address", func(c *Config) {
			m := publish8080
			m.VIP = place("h1b")
			c.Static = []StaticMapping{m}
		}, `
			0s in  tcp x:1>h1:8080 S  -> not mine
			0s in  tcp x:1>h1b:8080 S -> tcp x:1>cn1:80 S
			0s out tcp cn1:80>x:1 SA  -> tcp h1b:8080>x:1 SA
			0s out tcp cn1:80>x2:9 S  -> tcp h1b:8080>x2:9 S`},
		{"NAT-31 the mapping of a VIP goes before that of all addresses", func(c *Config) {
			m := mapTo(wire.ProtoTCP, 8080, "cn2:80")
			m.VIP = place("h1b")
			c.Static = []StaticMapping{publish8080, m}
		}, `
			0s in tcp x:1>h1:8080 S   -> tcp x:1>cn1:80 S
			0s in tcp x:1>h1b:8080 S  -> tcp x:1>cn2:80 S`},
		{"NAT-30 UDP", func(c *Config) { c.Static = []StaticMapping{mapTo(wire.ProtoUDP, 5353, "cn1:53")} }, `
			0s   in  udp x:1>h1:5353  -> udp x:1>cn1:53
			0s   out udp cn1:53>x:1   -> udp h1:5353>x:1
			500s out udp cn1:53>x:1   -> udp h1:5353>x:1     # the mapping does not expire
			999s in  udp x:1>h1:5353  -> udp x:1>cn1:53`},
		{"NAT-30 connections of the published port itself keep its external port", static8080, `
			0s out tcp cn1:80>x:443 S   -> tcp h1:8080>x:443 S
			0s in  tcp x:443>h1:8080 SA -> tcp x:443>cn1:80 SA
			0s out tcp cn1:81>x:443 S   -> tcp h1:50001>x:443 S`},
		{"NAT-30 published twice: the reply leaves by the port that was used, new flows by the lowest", func(c *Config) {
			c.Static = []StaticMapping{mapTo(wire.ProtoTCP, 9090, "cn1:80"), publish8080}
		}, `
			0s in  tcp x:1>h1:9090 S  -> tcp x:1>cn1:80 S
			0s in  tcp x:2>h1:8080 S  -> tcp x:2>cn1:80 S
			0s out tcp cn1:80>x:1 SA  -> tcp h1:9090>x:1 SA
			0s out tcp cn1:80>x:2 SA  -> tcp h1:8080>x:2 SA
			0s out tcp cn1:80>x:3 S   -> tcp h1:8080>x:3 S
			0s in  tcp x:1>h1:8080 S  -> drop NatPoolExhausted   # to the container it would be the flow by 9090`},
		{"3.3 both directions keep a session of a published port alive", func(c *Config) {
			c.Static = []StaticMapping{mapTo(wire.ProtoUDP, 9090, "cn1:53"), mapTo(wire.ProtoUDP, 8080, "cn1:53")}
		}, `
			0s   in  udp x:1>h1:9090  -> udp x:1>cn1:53
			119s out udp cn1:53>x:1   -> udp h1:9090>x:1
			238s out udp cn1:53>x:1   -> udp h1:9090>x:1
			357s in  udp x:1>h1:9090  -> udp x:1>cn1:53
			476s out udp cn1:53>x:1   -> udp h1:9090>x:1
			597s out udp cn1:53>x:1   -> udp h1:8080>x:1`},
		{"NAT-30 a connection is taken up midway, since the mapping outlives it", static8080, `
			0s    in  tcp x:1>h1:8080 S  -> tcp x:1>cn1:80 S
			0s    out tcp cn1:80>x:1 SA  -> tcp h1:8080>x:1 SA
			0s    in  tcp x:1>h1:8080 A  -> tcp x:1>cn1:80 A
			2000s in  tcp x:1>h1:8080 A  -> tcp x:1>cn1:80 A
			4000s out tcp cn1:80>x:1 A   -> tcp h1:8080>x:1 A`},
		{"NAT-12 dynamic ports stay clear of published ones", func(c *Config) {
			c.Static = []StaticMapping{mapTo(wire.ProtoTCP, 50002, "cn2:80")}
		}, `
			0s out tcp cn1:1>x:80 S   -> tcp h1:50001>x:80 S
			0s out tcp cn1:2>x:80 S   -> tcp h1:50003>x:80 S
			0s out udp cn1:1>x:80     -> udp h1:50001>x:80
			0s out udp cn1:2>x:80     -> udp h1:50002>x:80`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { newLab(t, tt.config).run(tt.script) })
	}
}

func TestHostToItsOwnPublishedPort(t *testing.T) {
	loopback := func(c *Config) { static8080(c); c.LoopbackPublish = true }
	tests := []struct {
		name   string
		config func(*Config)
		script string
	}{
		{"NAT-36 old builds: the host finds nobody there", static8080, `
			0s host tcp lo:6000>lo:8080 S  -> not mine
			0s host tcp h1:6000>h1:8080 S  -> not mine`},
		{"NAT-36 new builds: 127.0.0.1, from the gateway as the container sees it", loopback, `
			0s host tcp lo:6000>lo:8080 S  -> tcp gw:6000>cn1:80 S
			0s back tcp cn1:80>gw:6000 SA  -> to host tcp lo:8080>lo:6000 SA
			0s host tcp lo:6000>lo:8080 A  -> tcp gw:6000>cn1:80 A`},
		{"NAT-36 new builds: the host's address", loopback, `
			0s host tcp h1:6000>h1:8080 S  -> tcp h1:6000>cn1:80 S
			0s back tcp cn1:80>h1:6000 SA  -> to host tcp h1:8080>h1:6000 SA`},
		{"NAT-36 flag LocalRoutedVip asks for it on any build", func(c *Config) {
			m := publish8080
			m.LocalRoutedVIP = true
			c.Static = []StaticMapping{m, mapTo(wire.ProtoTCP, 9090, "cn1:90")}
		}, `
			0s host tcp lo:6000>lo:8080 S  -> tcp gw:6000>cn1:80 S
			0s host tcp lo:6000>lo:9090 S  -> not mine`},
		{"NAT-36 two flows that the container could not tell apart", loopback, `
			0s host tcp lo:6000>lo:8080 S         -> tcp gw:6000>cn1:80 S
			0s host tcp 127.0.0.2:6000>lo:8080 S  -> drop NatPoolExhausted`},
		{"NAT-36 without a gateway address 127.0.0.1 has no way", func(c *Config) {
			loopback(c)
			c.Internal[0].Gateway = netip.Addr{}
		}, `
			0s host tcp lo:6000>lo:8080 S  -> drop NoRoute
			0s host tcp h1:6000>h1:8080 S  -> tcp h1:6000>cn1:80 S`},
		{"NAT-36 only published ports, and not those of the gateway", loopback, `
			0s host tcp lo:6000>lo:8081 S  -> not mine
			0s host udp lo:6000>lo:8080    -> not mine
			0s host tcp gw:6000>gw:8080 S  -> not mine
			0s host echo lo:1>lo           -> not mine`},
		{"3.3 host sessions have the timers of all", loopback, `
			0s   host tcp lo:6000>lo:8080 S -> tcp gw:6000>cn1:80 S
			119s back tcp cn1:80>gw:6000 SA -> to host tcp lo:8080>lo:6000 SA
			240s back tcp cn1:80>gw:6000 SA -> not mine`},
		{"3.3 an expired host session makes way for the next", loopback, `
			0s   host tcp lo:6000>lo:8080 S -> tcp gw:6000>cn1:80 S
			120s host tcp lo:6000>lo:8080 S -> tcp gw:6000>cn1:80 S`},
		{"NAT-08 what containers send to the host otherwise is for the host", loopback, `
			0s back tcp cn1:4000>gw:445 S  -> not mine
			0s back tcp cn1:4000>h1:445 S  -> not mine
			0s back udp cn1:4000>gw:53     -> not mine
			0s back tcp cn1:4000>gw:8080 S -> not mine
			0s back tcp cn1:80>gw:6000 A   -> not mine`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { newLab(t, tt.config).run(tt.script) })
	}
}

func TestHairpin(t *testing.T) {
	tests := []struct {
		name   string
		config func(*Config)
		script string
	}{
		{"NAT-37 strict: the receiver sees the external address and port of the sender", static8080, `
			0s back tcp cn2:41000>h1:8080 S  -> tcp h1:50001>cn1:80 S
			0s back tcp cn1:80>h1:50001 SA   -> tcp h1:8080>cn2:41000 SA
			0s back tcp cn2:41000>h1:8080 A  -> tcp h1:50001>cn1:80 A`},
		{"NAT-37 strict: the sender has one mapping for inside and outside", static8080, `
			0s out  tcp cn2:41000>x:443 S    -> tcp h1:50001>x:443 S
			0s back tcp cn2:41000>h1:8080 S  -> tcp h1:50001>cn1:80 S
			0s in   tcp x:9>h1:8080 S        -> tcp x:9>cn1:80 S`},
		{"NAT-37 strict: a container reaches itself", static8080, `
			0s back tcp cn1:41000>h1:8080 S  -> tcp h1:50001>cn1:80 S
			0s back tcp cn1:80>h1:50001 SA   -> tcp h1:8080>cn1:41000 SA`},
		{"NAT-37 strict: the other address of the host", static8080, `
			0s back tcp cn2:41000>h1b:8080 S -> tcp h1b:50001>cn1:80 S
			0s back tcp cn1:80>h1b:50001 SA  -> tcp h1b:8080>cn2:41000 SA`},
		{"NAT-37 old builds drop", func(c *Config) { static8080(c); c.Hairpin = HairpinDrop }, `
			0s back tcp cn2:41000>h1:8080 S  -> drop NoMapping
			0s back tcp cn2:41000>h1:8081 S  -> not mine
			0s back tcp cn2:41000>gw:8080 S  -> not mine
			0s back tcp x:41000>h1:8080 S    -> not mine
			0s in   tcp x:9>h1:8080 S        -> tcp x:9>cn1:80 S`},
		{"NAT-37 between dynamic mappings the filter of the receiver counts", nil, `
			0s out  udp cn1:1000>x:53        -> udp h1:50001>x:53
			0s back udp cn2:2000>h1:50001    -> drop NatFiltered
			0s back udp cn1:1000>h1:50002    -> udp h1:50001>cn2:2000   # cn2 has sent to that address
			0s back udp cn2:2000>h1:50001    -> udp h1:50002>cn1:1000   # and now cn1 has`},
		{"NAT-37 a port of ours without mapping costs the sender nothing", nil, `
			0s out  udp cn1:1000>x:53        -> udp h1:50001>x:53
			0s back udp cn2:2000>h1:50002    -> drop NoMapping
			0s out  udp cn1:1001>x:53        -> udp h1:50002>x:53`},
		{"NAT-37 TCP turns round with a SYN only", static8080, `
			0s back tcp cn2:41000>h1:8080 A  -> drop NoMapping`},
		{"NAT-37 only containers turn round", static8080, `
			0s back tcp x:41000>h1:8080 S    -> not mine`},
		{"NAT-39 an exhausted pool stops hairpins too", static8080, `
			0s back tcp cn2:41000>h1:8080 S  -> drop NatPoolExhausted`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.config)
			if tt.name[:6] == "NAT-39" {
				l.ports.blocks = 0
			}
			l.run(tt.script)
		})
	}
}

func TestApplyKeepsWhatTheNewConfigurationAllows(t *testing.T) {
	const open = `
		0s in  tcp x:1>h1:8080 S   -> tcp x:1>cn1:80 S
		0s out udp cn1:5000>x:53   -> udp h1:50001>x:53
		0s out udp cn2:5000>x:53   -> udp h1:50002>x:53
		0s host tcp lo:6000>lo:8080 S -> tcp gw:6000>cn1:80 S
		`
	loopback := func(c *Config) { static8080(c); c.LoopbackPublish = true }
	tests := []struct {
		name   string
		config func(*Config)
		script string
	}{
		{"nothing changed", loopback, `
			1s out tcp cn1:80>x:1 SA     -> tcp h1:8080>x:1 SA
			1s in  udp x:53>h1:50001     -> udp x:53>cn1:5000
			1s back tcp cn1:80>gw:6000 A -> to host tcp lo:8080>lo:6000 A`},
		{"the static mapping is gone", func(c *Config) { c.LoopbackPublish = true }, `
			1s in  tcp x:1>h1:8080 A     -> not mine
			1s out tcp cn1:80>x:1 SA     -> drop NoMapping
			1s in  udp x:53>h1:50001     -> udp x:53>cn1:5000
			1s back tcp cn1:80>gw:6000 A -> not mine`},
		{"the static mapping leads elsewhere", func(c *Config) {
			loopback(c)
			c.Static = []StaticMapping{mapTo(wire.ProtoTCP, 8080, "cn2:80")}
		}, `
			1s in  tcp x:1>h1:8080 A     -> tcp x:1>cn2:80 A
			1s out tcp cn1:80>x:1 SA     -> drop NoMapping
			1s back tcp cn1:80>gw:6000 A -> not mine`},
		{"the static mapping leads to another port", func(c *Config) {
			loopback(c)
			c.Static = []StaticMapping{mapTo(wire.ProtoTCP, 8080, "cn1:81")}
		}, `
			1s in  tcp x:1>h1:8080 A     -> tcp x:1>cn1:81 A
			1s out tcp cn1:80>x:1 SA     -> drop NoMapping`},
		{"loopback is switched off", static8080, `
			1s back tcp cn1:80>gw:6000 A -> not mine
			1s out tcp cn1:80>x:1 SA     -> tcp h1:8080>x:1 SA`},
		{"a port in use is published now", func(c *Config) {
			c.Static = []StaticMapping{publish8080, mapTo(wire.ProtoUDP, 53, "cn1:5000")}
		}, `
			1s in  udp x:53>h1:50001     -> drop NoMapping
			1s out udp cn1:5000>x:53     -> udp h1:53>x:53
			1s in  udp x:53>h1:50002     -> udp x:53>cn2:5000`},
		{"an external port in use is published now", func(c *Config) {
			c.Static = []StaticMapping{mapTo(wire.ProtoUDP, 50001, "cn2:53")}
		}, `
			1s in  udp x:53>h1:50001     -> udp x:53>cn2:53
			1s out udp cn1:5000>x:53     -> udp h1:50003>x:53`},
		{"the internal prefix has shrunk", func(c *Config) {
			c.Internal[0] = InternalNet{Prefix: netip.MustParsePrefix("172.16.0.11/32")}
		}, `
			1s in  udp x:53>h1:50001     -> drop NoMapping
			1s in  udp x:53>h1:50002     -> udp x:53>cn2:5000
			1s out udp cn1:5000>x:53     -> not mine`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, loopback)
			l.run(open)
			l.apply(tt.config)
			l.run(tt.script)
		})
	}
}

func TestConfigErrors(t *testing.T) {
	prefix := func(s string) []InternalNet { return []InternalNet{{Prefix: netip.MustParsePrefix(s)}} }
	tests := []struct {
		name   string
		change func(*Config)
	}{
		{"internal prefix of IPv6", func(c *Config) { c.Internal = prefix("fd00::/64") }},
		{"internal prefix missing", func(c *Config) { c.Internal = []InternalNet{{}} }},
		{"internal prefix is everything", func(c *Config) { c.Internal = prefix("0.0.0.0/0") }},
		{"an internal prefix is there twice", func(c *Config) { c.Internal = append(c.Internal, prefix("172.16.0.0/24")...) }},
		{"gateway outside of the prefix", func(c *Config) { c.Internal[0].Gateway = place("h1") }},
		{"static mapping of ICMP", func(c *Config) { c.Static = []StaticMapping{mapTo(wire.ProtoICMP, 1, "cn1:1")} }},
		{"external port 0", func(c *Config) { c.Static = []StaticMapping{mapTo(wire.ProtoTCP, 0, "cn1:1")} }},
		{"internal port 0", func(c *Config) { c.Static = []StaticMapping{mapTo(wire.ProtoTCP, 1, "cn1:0")} }},
		{"internal address elsewhere", func(c *Config) { c.Static = []StaticMapping{mapTo(wire.ProtoTCP, 1, "x:1")} }},
		{"internal address missing", func(c *Config) { c.Static = []StaticMapping{{Proto: wire.ProtoTCP, ExternalPort: 1}} }},
		{"VIP of IPv6", func(c *Config) { m := publish8080; m.VIP = netip.IPv6Loopback(); c.Static = []StaticMapping{m} }},
		{"external port twice", func(c *Config) { c.Static = []StaticMapping{publish8080, mapTo(wire.ProtoTCP, 8080, "cn2:80")} }},
		{"negative timer", func(c *Config) { c.Timers.UDP = -1 }},
		{"too many sessions", func(c *Config) { c.Limits.Sessions = MaxSessions + 1 }},
		{"negative limit", func(c *Config) { c.Limits.FragmentsHeld = -1 }},
		{"blocks of less than nothing", func(c *Config) { c.BlockSize = -1 }},
		{"unknown filtering", func(c *Config) { c.FilteringUDP = 9 }},
		{"unknown mapping", func(c *Config) { c.Mapping = 9 }},
		{"unknown hairpin", func(c *Config) { c.Hairpin = 9 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, static8080)
			l.run("0s in tcp x:1>h1:8080 S -> tcp x:1>cn1:80 S")
			cfg := baseConfig()
			tt.change(&cfg)
			if _, err := New(cfg, l.ports, 1); err == nil {
				t.Error("New accepts it")
			}
			if err := l.n.Apply(cfg); err == nil {
				t.Error("Apply accepts it")
			} else if len(err.Error()) < 12 {
				t.Errorf("the error says little: %v", err)
			}
			l.run("1s out tcp cn1:80>x:1 SA -> tcp h1:8080>x:1 SA") // the old configuration stays
		})
	}
}

func TestTheZeroConfigTranslatesNothing(t *testing.T) {
	n, err := New(Config{}, &stubPorts{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if res := n.Outbound(0, mkPacket(mkFrame("udp cn1:1>x:53").Bytes()), place("h1")); res.Verdict != NotMine {
		t.Error(res.Verdict)
	}
}

func TestAnAddressBelongsToTheLongestInternalPrefix(t *testing.T) {
	l := newLab(t, func(c *Config) {
		static8080(c)
		c.LoopbackPublish = true
		c.Internal = append(c.Internal, InternalNet{Prefix: netip.MustParsePrefix("172.16.0.8/29"), Gateway: netip.MustParseAddr("172.16.0.9")})
	})
	l.run(`
		0s host tcp lo:6000>lo:8080 S -> tcp 172.16.0.9:6000>cn1:80 S
		0s out udp cn1:5000>x:53      -> udp h1:50001>x:53
		0s out udp cn1:5000>cn2:53    -> not mine`)
}
