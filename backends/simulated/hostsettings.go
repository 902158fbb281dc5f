package simulated

import (
	"errors"
	"maps"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/vfp"
)

// protoPorts reads "tcp:8000-8100".
func protoPorts(s string) (proto uint8, r vfp.PortRange, err error) {
	name, ports, ok := strings.Cut(s, ":")
	if !ok {
		return 0, r, usage("%q: expected protocol:port or protocol:lo-hi", s)
	}
	if proto, err = protoNumber(name); err != nil {
		return 0, r, err
	}
	rs, err := portRanges(ports)
	if err != nil {
		return 0, r, err
	}
	return proto, rs[0], nil
}

// excludePorts is "netsh int ipv4 add excludedportrange" (rule NAT-33).
func excludePorts(w *world, s backends.Setting) error {
	nd, err := w.hostOf(s)
	if err != nil {
		return err
	}
	proto, r, err := protoPorts(s.Value)
	if err != nil {
		return err
	}
	if held := nd.host.Ports().ReserveRange(proto, r, vfp.Excluded, 0); held != vfp.Free {
		return usage("ports.exclude %s: part of the range is held as %s", s.Value, held)
	}
	return nil
}

func dynamicPorts(w *world, s backends.Setting) error {
	nd, err := w.hostOf(s)
	if err != nil {
		return err
	}
	rs, err := portRanges(s.Value)
	if err != nil {
		return err
	}
	nd.host.Ports().SetDynamic(rs[0])
	return nil
}

// setSocket holds a port as an application does, or lets it go with "close".
func setSocket(w *world, s backends.Setting) error {
	value, closing := strings.CutPrefix(s.Value, "close ")
	proto, r, err := protoPorts(strings.TrimSpace(value))
	if err != nil {
		return err
	}
	st, err := w.stack(s.Node)
	if err != nil {
		return err
	}
	key := socketKey(s.Node, proto, r.Lo)
	if closing {
		if release := w.sockets[key]; release != nil {
			release()
			delete(w.sockets, key)
			return nil
		}
		return usage("socket %s: %s holds no such socket", s.Value, s.Node)
	}
	release, err := bind(st, proto, netip.AddrPortFrom(netip.Addr{}, r.Lo))
	if err != nil {
		return usage("socket %s: %v", s.Value, err)
	}
	w.sockets[key] = release
	return nil
}

// serviceVerb makes a setting of something that is done to a host's HNS.
func serviceVerb(do func(*hns.Service) error) settingFunc {
	return func(w *world, s backends.Setting) error {
		nd, err := w.hostOf(s)
		if err != nil {
			return err
		}
		return asUsage(do(nd.host.HNS))
	}
}

func rebootHost(w *world, s backends.Setting) error {
	nd, err := w.hostOf(s)
	if err != nil {
		return err
	}
	for _, c := range w.started {
		c.running = c.running && c.host != nd.host
	}
	return asUsage(nd.host.Reboot())
}

func asUsage(err error) error {
	var u *backends.UsageError
	if err == nil || errors.As(err, &u) {
		return err
	}
	return usage("%v", err)
}

// containerVerb makes a setting of something that is done to a container.
func containerVerb(do func(*world, *container) error) settingFunc {
	return func(w *world, s backends.Setting) error {
		c := w.containers[s.Node]
		if c == nil {
			return usage("%s: %q is no container", s.Name, s.Node)
		}
		return do(w, c)
	}
}

func (w *world) attachAll(c *container) error { return w.attach(c, false) }

func (w *world) start(c *container) error {
	if !c.bare() {
		if err := c.host.HNS.StartContainer(c.namespace, c.name, c.isolation); err != nil {
			return err
		}
	}
	c.running = true
	return nil
}

// stop ends a container; what v1 attach has plugged into a bare one comes off.
func (w *world) stop(c *container) error {
	if !c.bare() {
		if err := c.host.HNS.StopContainer(c.namespace, c.name); err != nil {
			return err
		}
	} else {
		for _, ep := range endpointsOf(c) {
			if err := c.host.HNS.DetachEndpoint(ep, hns.AttachRequest{ContainerID: c.name, SystemType: hns.ToContainer}); err != nil {
				return err
			}
		}
	}
	c.running = false
	return nil
}

// moveAdapter takes the host's physical adapter out or puts it back (D.3 #46).
func moveAdapter(w *world, s backends.Setting) error {
	nd, err := w.hostOf(s)
	if err != nil {
		return err
	}
	if s.Value != "in" && s.Value != "out" {
		return usage("host.adapter %q: expected in or out", s.Value)
	}
	return nd.host.HNS.SetAdapterPresent(nd.nics[0].Name(), s.Value == "in")
}

// switchExtension switches the forwarding extension of the host's physical
// adapter (D.3 #19).
func switchExtension(w *world, s backends.Setting) error {
	nd, err := w.hostOf(s)
	if err != nil {
		return err
	}
	if s.Value != "on" && s.Value != "off" {
		return usage("host.vfp %q: expected on or off", s.Value)
	}
	return nd.host.HNS.SetExtension(nd.nics[0].Name(), s.Value == "on")
}

// setFirewall reads "disable tcp:8080" and "enable tcp:8080": the rule that HNS
// added for a published port.
func setFirewall(w *world, s backends.Setting) error {
	nd, err := w.hostOf(s)
	if err != nil {
		return err
	}
	verb, port, _ := strings.Cut(s.Value, " ")
	if verb != "enable" && verb != "disable" {
		return usage("firewall.rule %q: expected enable or disable and a port such as tcp:8080", s.Value)
	}
	proto, r, err := protoPorts(strings.TrimSpace(port))
	if err != nil {
		return err
	}
	for _, rule := range nd.host.FirewallRules() {
		if rule.Proto != proto || rule.Port < r.Lo || rule.Port > r.Hi {
			continue
		}
		return nd.host.SetNAT(func(o *hns.NATOptions) {
			off := maps.Clone(o.FirewallOff)
			if off == nil {
				off = map[string]bool{}
			}
			off[rule.Name] = verb == "disable"
			o.FirewallOff = off
		})
	}
	return usage("firewall.rule %q: HNS has added no rule for that port", s.Value)
}

// setFirewallProfile reads "in=block out=allow"; what is not named is allowed.
func setFirewallProfile(w *world, s backends.Setting) error {
	nd, err := w.hostOf(s)
	if err != nil {
		return err
	}
	var p ipstack.Profile
	for _, f := range strings.Fields(s.Value) {
		dir, action, _ := strings.Cut(f, "=")
		if dir != "in" && dir != "out" || action != "allow" && action != "block" {
			return usage("firewall.profile %q: expected in=allow|block and out=allow|block", s.Value)
		}
		if dir == "in" {
			p.BlockIn = action == "block"
		} else {
			p.BlockOut = action == "block"
		}
	}
	nd.host.SetFirewallProfile(p)
	return nil
}
