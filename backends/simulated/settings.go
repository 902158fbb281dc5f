package simulated

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/winnat"
	"github.com/hnsim/hnsim/sim/wire"
)

// settingFunc applies one setting; node is the role that it was given for.
type settingFunc func(w *world, s backends.Setting) error

// settingTable lists what Set understands, by name; doc.go describes them.
var settingTable = map[string]settingFunc{
	"port.spoofing":    portSwitch(func(o *hns.PortOptions, on bool) { o.Spoofing = on }),
	"port.dhcpguard":   portSwitch(func(o *hns.PortOptions, on bool) { o.DHCPGuard = on }),
	"port.routerguard": portSwitch(func(o *hns.PortOptions, on bool) { o.RouterGuard = on }),
	"port.storm":       setStorm,
	"port.vlan":        setVLAN,
	"port.isolation":   setIsolation,
	"port.mirror":      setMirror,
	"port.acl":         setPortACL,
	"port.extacl":      setExtACL,
	"nat.filtering":    setFiltering,
	"nat.timers":       setTimers,
	"nat.sessions":     setSessions,
	"ports.exclude":    excludePorts,
	"firewall.rule":    setFirewall,
	"firewall.profile": setFirewallProfile,
	"ports.dynamic":    dynamicPorts,
	"socket":           setSocket,
	"outer.spoofing":   outerSetting(setOuterSpoofing),
	"outer.cas":        outerSetting(setOuterCAs),
	"outer.acl":        outerSetting(setOuterACL),
	"outer.limit":      outerSetting(setOuterLimit),
	"outer.intercept":  outerSetting(setOuterIntercept),
	"container.attach": containerVerb((*world).attachAll),
	"container.detach": containerVerb((*world).detach),
	"container.start":  containerVerb((*world).start),
	"container.stop":   containerVerb((*world).stop),
	"hns.restart":      serviceVerb((*hns.Service).Restart),
	"hns.stop":         serviceVerb(func(s *hns.Service) error { s.Stop(); return nil }),
	"hns.start":        serviceVerb((*hns.Service).Start),
	"host.reboot":      rebootHost,
	"host.adapter":     moveAdapter,
	"host.vfp":         switchExtension,
	"vm.host":          moveVM,
	"sdn.agent":        setAgent,
	"mux":              setMux,
}

// SettingNames lists the settings in order.
func SettingNames() []string {
	var names []string
	for n := range settingTable {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Set changes something that is no document.
func (w *world) Set(_ context.Context, s backends.Setting) error {
	f := settingTable[s.Name]
	if f == nil {
		return usage("unknown setting %q: expected one of %s", s.Name, strings.Join(SettingNames(), ", "))
	}
	if err := f(w, s); err != nil {
		return err
	}
	return w.settle()
}

func (w *world) hostOf(s backends.Setting) (*node, error) {
	nd := w.nodes[s.Node]
	if nd == nil || nd.host == nil {
		return nil, usage("%s is a setting of a Windows host; %q is none", s.Name, s.Node)
	}
	return nd, nil
}

// ports changes the options of every port of a container.
func (w *world) ports(s backends.Setting, change func(*hns.PortOptions)) error {
	c := w.containers[s.Node]
	if c == nil {
		return usage("%s is a setting of a container's switch port; %q is no container", s.Name, s.Node)
	}
	for _, ep := range endpointsOf(c) {
		if err := c.host.SetPortOptions(ep, change); err != nil {
			return usage("%s: %v", s.Name, err)
		}
	}
	return nil
}

func portSwitch(set func(*hns.PortOptions, bool)) settingFunc {
	return func(w *world, s backends.Setting) error {
		if s.Value != "on" && s.Value != "off" {
			return usage("%s %q: expected on or off", s.Name, s.Value)
		}
		return w.ports(s, func(o *hns.PortOptions) { set(o, s.Value == "on") })
	}
}

func setStorm(w *world, s backends.Setting) error {
	n, err := strconv.ParseUint(s.Value, 10, 32)
	if err != nil {
		return usage("port.storm %q: expected packets per second", s.Value)
	}
	return w.ports(s, func(o *hns.PortOptions) { o.StormLimit = uint32(n) })
}

func setMirror(w *world, s backends.Setting) error {
	mode, ok := map[string]vswitch.MirrorMode{"none": vswitch.MirrorNone, "source": vswitch.MirrorSource, "destination": vswitch.MirrorDestination}[s.Value]
	if !ok {
		return usage("port.mirror %q: expected none, source or destination", s.Value)
	}
	return w.ports(s, func(o *hns.PortOptions) { o.Mirror = mode })
}

// setVLAN reads "access=7", "trunk=7,8 native=1", "isolated=10,101" and the
// other private VLAN roles with primary and secondary id.
func setVLAN(w *world, s backends.Setting) error {
	var v vswitch.VLANConfig
	for key, val := range words(s.Value) {
		if key == "prioritytag" {
			v.AllowIeeePriorityTag = true
			continue
		}
		ids, err := vlanIDs(val)
		if err != nil {
			return err
		}
		switch key {
		case "access":
			v.Mode, v.AccessID = vswitch.VLANAccess, ids[0]
		case "trunk":
			v.Mode, v.Allowed = vswitch.VLANTrunk, ids
		case "native":
			v.Native = ids[0]
		case "isolated", "community", "promiscuous":
			if len(ids) != 2 {
				return usage("port.vlan %s=%q: expected primary,secondary", key, val)
			}
			v.Mode, v.Primary, v.Secondary = vswitch.VLANPrivate, ids[0], ids[1]
			v.Private = map[string]vswitch.PrivateVLAN{"isolated": vswitch.Isolated, "community": vswitch.Community, "promiscuous": vswitch.Promiscuous}[key]
		default:
			return usage("port.vlan %q: expected access=, trunk=, native=, isolated=, community=, promiscuous= or prioritytag", key)
		}
	}
	return w.ports(s, func(o *hns.PortOptions) { o.VLAN = &v })
}

// setIsolation reads "none", "vlan=7 untagged=on tenants=8,9", "subnet=5001" and
// "external=5001".
func setIsolation(w *world, s backends.Setting) error {
	var i vswitch.Isolation
	for key, val := range words(s.Value) {
		switch key {
		case "none":
		case "vlan", "subnet", "external":
			i.Mode = map[string]vswitch.IsolationMode{"vlan": vswitch.IsolationVLAN, "subnet": vswitch.NativeVirtualSubnet, "external": vswitch.ExternalVirtualSubnet}[key]
			id, err := strconv.ParseUint(val, 10, 32)
			if err != nil {
				return usage("port.isolation %s=%q: expected a number", key, val)
			}
			i.DefaultID = uint32(id)
		case "untagged":
			on, err := onOff("port.isolation untagged", val)
			if err != nil {
				return err
			}
			i.AllowUntagged = on
		case "tenants":
			ids, err := vlanIDs(val)
			if err != nil {
				return err
			}
			i.MultiTenant, i.IDs = true, ids
		default:
			return usage("port.isolation %q: expected none, vlan=, subnet=, external=, untagged=on|off or tenants=ID,ID", key)
		}
	}
	if err := new(vswitch.PortConfig).Isolate(i); err != nil {
		return usage("port.isolation: %v", err)
	}
	return w.ports(s, func(o *hns.PortOptions) { o.Isolation = i })
}

func vlanIDs(list string) ([]uint16, error) {
	var out []uint16
	for _, f := range strings.Split(list, ",") {
		v, err := strconv.ParseUint(f, 10, 12)
		if err != nil {
			return nil, usage("VLAN id %q: expected a number up to 4094", f)
		}
		out = append(out, uint16(v))
	}
	return out, nil
}

// words yields key and value of "key=value" words; a word without "=" has
// value "".
func words(text string) func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for _, f := range strings.Fields(text) {
			k, v, _ := strings.Cut(f, "=")
			if !yield(k, v) {
				return
			}
		}
	}
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, usage("%q: expected an address or a prefix", s)
	}
	return p.Masked(), nil
}

func setPortACL(w *world, s backends.Setting) error {
	var a vswitch.PortACL
	for key, val := range words(s.Value) {
		var err error
		switch key {
		case "in":
			a.Dir = vfp.In
		case "out":
			a.Dir = vfp.Out
		case "allow":
			a.Allow = true
		case "deny":
		case "local":
			a.Local, err = parsePrefix(val)
		case "remote":
			a.Remote, err = parsePrefix(val)
		default:
			return usage("port.acl %q: expected in, out, allow, deny, local= or remote=", key)
		}
		if err != nil {
			return err
		}
	}
	return w.ports(s, func(o *hns.PortOptions) { o.ACLs = append(slices.Clone(o.ACLs), a) })
}

func setExtACL(w *world, s backends.Setting) error {
	var a vswitch.ExtACL
	for key, val := range words(s.Value) {
		if err := extACLWord(&a, key, val); err != nil {
			return err
		}
	}
	return w.ports(s, func(o *hns.PortOptions) { o.ExtACLs = append(slices.Clone(o.ExtACLs), a) })
}

func extACLWord(a *vswitch.ExtACL, key, val string) (err error) {
	switch key {
	case "in":
		a.Dir = vfp.In
	case "out":
		a.Dir = vfp.Out
	case "allow":
		a.Allow = true
	case "deny":
	case "stateful":
		a.Stateful = true
	case "weight":
		a.Weight, err = strconv.Atoi(val)
	case "proto":
		a.Proto, err = protoNumber(val)
	case "local":
		a.Local, err = parsePrefix(val)
	case "remote":
		a.Remote, err = parsePrefix(val)
	case "lport":
		a.LocalPorts, err = portRanges(val)
	case "rport":
		a.RemotePorts, err = portRanges(val)
	case "idle":
		var d time.Duration
		d, err = time.ParseDuration(val)
		a.IdleTimeout = int64(d)
	default:
		return usage("port.extacl: unknown word %q", key)
	}
	if err != nil {
		return usage("port.extacl %s=%s: %v", key, val, err)
	}
	return nil
}

func protoNumber(s string) (uint8, error) {
	switch s {
	case "tcp":
		return wire.ProtoTCP, nil
	case "udp":
		return wire.ProtoUDP, nil
	case "icmp":
		return wire.ProtoICMP, nil
	case "icmp6":
		return wire.ProtoICMPv6, nil
	}
	v, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, usage("protocol %q: expected tcp, udp, icmp, icmp6 or a number up to 255", s)
	}
	return uint8(v), nil
}

func portRanges(list string) ([]vfp.PortRange, error) {
	var out []vfp.PortRange
	for _, f := range strings.Split(list, ",") {
		lo, hi, ranged := strings.Cut(f, "-")
		if !ranged {
			hi = lo
		}
		l, err1 := strconv.ParseUint(lo, 10, 16)
		h, err2 := strconv.ParseUint(hi, 10, 16)
		if err1 != nil || err2 != nil || l > h {
			return nil, usage("%q: expected a port or a range lo-hi", f)
		}
		out = append(out, vfp.PortRange{Lo: uint16(l), Hi: uint16(h)})
	}
	return out, nil
}

func setFiltering(w *world, s backends.Setting) error {
	nd, err := w.hostOf(s)
	if err != nil {
		return err
	}
	for key, val := range words(s.Value) {
		f, ok := map[string]winnat.Filtering{
			"EIF": winnat.FilterEndpointIndependent, "EndpointIndependent": winnat.FilterEndpointIndependent,
			"ADF": winnat.FilterAddress, "AddressDependent": winnat.FilterAddress,
		}[val]
		if !ok || key != "tcp" && key != "udp" {
			return usage("nat.filtering %s=%s: expected tcp= or udp= with EndpointIndependent or AddressDependent", key, val)
		}
		err = nd.host.SetNAT(func(o *hns.NATOptions) {
			if key == "tcp" {
				o.FilteringTCP = &f
			} else {
				o.FilteringUDP = &f
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// setSessions is how many sessions WinNAT keeps at a time.
func setSessions(w *world, s backends.Setting) error {
	nd, err := w.hostOf(s)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(s.Value)
	if err != nil || n < 1 || n > winnat.MaxSessions {
		return usage("nat.sessions %q: expected a number between 1 and %d", s.Value, winnat.MaxSessions)
	}
	return nd.host.SetNAT(func(o *hns.NATOptions) { o.Sessions = n })
}

func setTimers(w *world, s backends.Setting) error {
	nd, err := w.hostOf(s)
	if err != nil {
		return err
	}
	t := winnat.ObservedTimers()
	for key, val := range words(s.Value) {
		d, err := time.ParseDuration(val)
		if err != nil {
			return usage("nat.timers %s=%q: expected a duration such as 30s", key, val)
		}
		switch key {
		case "icmp":
			t.ICMPQuery = d
		case "udp":
			t.UDP = d
		case "transient":
			t.TCPTransient = d
		case "established":
			t.TCPEstablished = d
		default:
			return usage("nat.timers %q: expected icmp, udp, transient or established", key)
		}
	}
	return nd.host.SetNAT(func(o *hns.NATOptions) { o.Timers = &t })
}
