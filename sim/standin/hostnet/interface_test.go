package hostnet

import (
	"slices"
	"testing"
)

func TestNamesFitLinux(t *testing.T) {
	tests := []struct{ windows, linux []string }{
		{[]string{"Ethernet"}, []string{"Ethernet"}},
		{[]string{"Ethernet", "vEthernet (nat)", "vEthernet (Ethernet)"}, []string{"Ethernet", "vEthernet_nat", "vEthernet_Ether"}},
		{[]string{"vEthernet (Ethernet)", "vEthernet (Ethernet 2)", "vEthernet (Ethernet 3)"}, []string{"vEthernet_Ether", "vEthernet_Eth~2", "vEthernet_Eth~3"}},
		{[]string{"lo", "a/b:c", "größe", ""}, []string{"lo~2", "a_b_c", "gr__e", "~2"}},
	}
	for _, tt := range tests {
		var ifaces []Interface
		for _, n := range tt.windows {
			ifaces = append(ifaces, Interface{Name: n})
		}
		if got := linuxNames(ifaces); !slices.Equal(got, tt.linux) {
			t.Errorf("%q: %q, want %q", tt.windows, got, tt.linux)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("vEthernet (nat)", "vEthernet (nat)")
	f.Fuzz(func(t *testing.T, a, b string) {
		list := []Interface{{Name: a}, {Name: b}}
		for range 120 {
			list = append(list, Interface{Name: a})
		}
		seen := map[string]bool{}
		for _, n := range linuxNames(list) {
			if n == "" || len(n) > maxName || seen[n] {
				t.Fatalf("%q from %q, %q", n, a, b)
			}
			for _, c := range []byte(n) {
				if c <= ' ' || c >= 0x7F || c == '/' || c == ':' || c == '%' {
					t.Errorf("%q has %q", n, c)
				}
			}
			seen[n] = true
		}
	})
}
