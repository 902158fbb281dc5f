package hostnet

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/sim/wire"
)

// Interface is a network interface of a host.
type Interface struct {
	Name  string // as Windows shows it: "vEthernet (nat)"
	MAC   wire.MAC
	MTU   int
	Down  bool
	Addrs []netip.Prefix
}

// maxName is the longest name that Linux has for an interface.
const maxName = 15

// linuxNames are the names for interfaces, in their order. Linux takes no
// blanks, slashes and colons and at most 15 bytes, so a Windows name stays
// only where it fits; wherever it does not, "vEthernet (nat)" becomes
// "vEthernet_nat". Names that would be the same get a number.
func linuxNames(ifaces []Interface) []string {
	names := make([]string, len(ifaces))
	used := map[string]bool{"lo": true, ".": true, "..": true, "": true, "all": true, "default": true}
	for i, f := range ifaces {
		base := linuxName(f.Name)
		name := base
		for n := 2; used[name]; n++ {
			suffix := "~" + strconv.Itoa(n)
			name = base[:min(len(base), maxName-len(suffix))] + suffix
		}
		used[name] = true
		names[i] = name
	}
	return names
}

func linuxName(windows string) string {
	var b strings.Builder
	for _, r := range windows {
		switch {
		case r == '(' || r == ')':
		case r > ' ' && r < 0x7F && r != '/' && r != ':' && r != '%':
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	name := b.String()
	return name[:min(len(name), maxName)]
}
