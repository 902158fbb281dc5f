package simulated

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/qos"
	"github.com/hnsim/hnsim/sim/vswitch"
)

// outerConfig reads a node's outer settings; none put it on the segment
// itself. Keys: spoofing=on|off, cas=ADDR,ADDR, intercept=PORT.
func outerConfig(n backends.Node) (*fabric.OuterConfig, error) {
	if len(n.Outer) == 0 {
		return nil, nil
	}
	c := &fabric.OuterConfig{}
	for _, key := range slices.Sorted(maps.Keys(n.Outer)) {
		var err error
		val := n.Outer[key]
		switch key {
		case "spoofing":
			c.MACSpoofing, err = onOff("outer.spoofing", val)
		case "cas":
			c.CAs, err = addresses(val)
		case "intercept":
			c.Intercept, err = interceptPort(val)
		default:
			err = usage("host %s: unknown outer.%s: expected outer.spoofing=on|off, outer.cas=ADDR,ADDR or outer.intercept=PORT", n.Name, key)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

func onOff(name, val string) (bool, error) {
	if val != "on" && val != "off" {
		return false, usage("%s %q: expected on or off", name, val)
	}
	return val == "on", nil
}

func addresses(list string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, f := range strings.Split(list, ",") {
		a, err := netip.ParseAddr(f)
		if err != nil {
			return nil, usage("%q: expected an address", f)
		}
		out = append(out, a)
	}
	return out, nil
}

// outerSetting makes a setting of something that is done to the outer switch
// of a host.
func outerSetting(do func(o *fabric.Outer, value string) error) settingFunc {
	return func(w *world, s backends.Setting) error {
		nd, err := w.hostOf(s)
		if err != nil {
			return err
		}
		if nd.host.Outer() == nil {
			return usage("%s: %s is no virtual machine: give its host line an outer. option", s.Name, s.Node)
		}
		return asUsage(do(nd.host.Outer(), s.Value))
	}
}

func setOuterSpoofing(o *fabric.Outer, value string) error {
	on, err := onOff("outer.spoofing", value)
	if err != nil {
		return err
	}
	return o.SetMACSpoofing(on)
}

func setOuterCAs(o *fabric.Outer, value string) error {
	cas, err := addresses(value)
	if err != nil {
		return err
	}
	return o.SetCAs(cas)
}

// setOuterACL replaces the ACLs of the VM's port: one rule, or "none".
func setOuterACL(o *fabric.Outer, value string) error {
	if value == "none" {
		return o.SetACLs(nil)
	}
	var a vswitch.ExtACL
	for key, val := range words(value) {
		if err := extACLWord(&a, key, val); err != nil {
			return err
		}
	}
	return o.SetACLs([]vswitch.ExtACL{a})
}

// setOuterLimit replaces the bandwidth limits of the VM's addresses: one,
// "ADDR rate=BYTES" a second, or "none".
func setOuterLimit(o *fabric.Outer, value string) error {
	if value == "none" {
		return o.SetLimits(nil)
	}
	addr, rest, _ := strings.Cut(value, " ")
	a, err := netip.ParseAddr(addr)
	text, ok := strings.CutPrefix(strings.TrimSpace(rest), "rate=")
	rate, err2 := strconv.ParseUint(text, 10, 48)
	if err != nil || !ok || err2 != nil || rate == 0 {
		return usage("outer.limit %q: expected none, or an address and rate=BYTES a second", value)
	}
	return o.SetLimits([]vswitch.AddrLimit{{Addr: a, Shaper: qos.New(rate, qos.DefaultLimits)}})
}

// interceptPort reads a UDP port; "none" is 0.
func interceptPort(value string) (uint16, error) {
	if value == "none" {
		return 0, nil
	}
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil || port == 0 {
		return 0, usage("outer.intercept %q: expected none or a UDP port", value)
	}
	return uint16(port), nil
}

func setOuterIntercept(o *fabric.Outer, value string) error {
	port, err := interceptPort(value)
	if err != nil {
		return err
	}
	return o.SetIntercept(port)
}
