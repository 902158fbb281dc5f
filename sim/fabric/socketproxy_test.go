package fabric

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

func TestWhichConnectionsASocketProxyGets(t *testing.T) { // PX-02
	base := SocketProxy{
		Addrs: []netip.Addr{netip.MustParseAddr("10.244.1.10")}, Account: "S-1-5-32-556", Inbound: 15006, Outbound: 15001,
		OutboundExceptions: SocketExceptions{Addrs: prefixesOf("198.51.100.0/24"), Ports: []vfp.PortRange{{Lo: 53, Hi: 53}}},
		InboundExceptions:  SocketExceptions{Addrs: prefixesOf("10.244.1.30/32"), Ports: []vfp.PortRange{{Lo: 22, Hi: 22}}},
	}
	udpOnly, far, noAccount := base, base, base
	udpOnly.Filter.Protos = []uint8{wire.ProtoUDP}
	far.Filter = SocketFilter{Protos: []uint8{wire.ProtoTCP}, Remote: prefixesOf("203.0.113.0/24"), RemotePorts: []vfp.PortRange{{Lo: 443, Hi: 443}}}
	noAccount.Account = ""
	tests := []struct {
		name             string
		p                SocketProxy
		account          string
		local, remote    string
		connect, accepts bool // redirected
	}{
		{"some connection", base, "", "10.244.1.10:5555", "203.0.113.80:443", true, true},
		{"of another account", base, "S-1-5-18", "10.244.1.10:5555", "203.0.113.80:443", true, true},
		{"of the proxy", base, "S-1-5-32-556", "10.244.1.10:5555", "203.0.113.80:443", false, true},
		{"of nobody, with a proxy that has no account", noAccount, "", "10.244.1.10:5555", "203.0.113.80:443", true, true},
		{"another address of the compartment", base, "", "10.244.9.10:5555", "203.0.113.80:443", false, false},
		{"to itself", base, "", "10.244.1.10:5555", "10.244.1.10:80", false, true},
		{"to the loopback", base, "", "10.244.1.10:5555", "127.0.0.1:80", false, true},
		{"an excepted address", base, "", "10.244.1.10:5555", "198.51.100.9:443", false, true},
		{"an excepted remote port", base, "", "10.244.1.10:5555", "203.0.113.80:53", false, true},
		{"an excepted peer", base, "", "10.244.1.10:80", "10.244.1.30:5555", true, false},
		{"an excepted local port", base, "", "10.244.1.10:22", "203.0.113.80:5555", true, false},
		{"a filter for UDP", udpOnly, "", "10.244.1.10:5555", "203.0.113.80:443", false, false},
		{"what the filter names", far, "", "10.244.1.10:5555", "203.0.113.80:443", true, true},
		{"another port than the filter's", far, "", "10.244.1.10:5555", "203.0.113.80:80", false, false},
		{"another address than the filter's", far, "", "10.244.1.10:5555", "192.0.2.1:443", false, false},
	}
	for _, tt := range tests {
		local, remote := netip.MustParseAddrPort(tt.local), netip.MustParseAddrPort(tt.remote)
		wantTo, wantPort := remote, local.Port()
		if tt.connect {
			wantTo = netip.AddrPortFrom(local.Addr(), 15001)
		}
		if tt.accepts {
			wantPort = 15006
		}
		ps := socketProxies{tt.p}
		if got := ps.Connect(tt.account, local, remote); got != wantTo {
			t.Errorf("%s: connects to %s, want %s", tt.name, got, wantTo)
		}
		if got := ps.Accept(local, remote); got != wantPort {
			t.Errorf("%s: accepted by port %d, want %d", tt.name, got, wantPort)
		}
	}
}

func prefixesOf(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
