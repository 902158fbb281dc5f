package vswitch

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
)

// MaxPorts bounds a switch.
const MaxPorts = 4096

// Errors of Apply, wrapped with the switch and port they concern.
var (
	ErrTooManyPorts = errors.New("too many ports")
	ErrPortID       = errors.New("port id is zero, too large or taken")
	ErrPortKind     = errors.New("port does not fit the switch type")
	ErrMAC          = errors.New("port needs a unicast MAC address")
	ErrVLAN         = errors.New("invalid VLAN setting")
	ErrACL          = errors.New("invalid port ACL")
	ErrMTU          = errors.New("MTU out of range")
	ErrMirror       = errors.New("unknown monitor mode")
	ErrIsolation    = errors.New("invalid isolation setting")
)

// maxMTU is the largest IP packet there is.
const maxMTU = 65535

// validate checks c once, so that nothing later has to.
func validate(c *Config) error {
	count := len(c.Ports) + len(c.Shared)
	if count > MaxPorts {
		return fmt.Errorf("vswitch %q: %w: %d, at most %d", c.Name, ErrTooManyPorts, count, MaxPorts)
	}
	if c.Kind > Private {
		return fmt.Errorf("vswitch %q: %w: type %d", c.Name, ErrPortKind, c.Kind)
	}
	if c.MTU < 0 || c.MTU > maxMTU {
		return fmt.Errorf("vswitch %q: %w: %d", c.Name, ErrMTU, c.MTU)
	}
	seen := make(map[vfp.PortID]bool, count)
	external := 0
	for p := range c.All() {
		if p.ID == 0 || p.ID > maxPortID || seen[p.ID] {
			return portError(c, p, ErrPortID)
		}
		seen[p.ID] = true
		if p.Kind == ExternalPort {
			external++
		}
		if err := validatePort(c, p); err != nil {
			return portError(c, p, err)
		}
	}
	for i := 1; i < len(c.Shared); i++ {
		if c.Shared[i-1].ID > c.Shared[i].ID {
			return portError(c, c.Shared[i], fmt.Errorf("%w: shared ports do not ascend", ErrPortID))
		}
	}
	if c.Kind == External && external != 1 {
		return fmt.Errorf("vswitch %q: %w: an external switch has one external port, not %d", c.Name, ErrPortKind, external)
	}
	return nil
}

func portError(c *Config, p *PortConfig, err error) error {
	return fmt.Errorf("vswitch %q: port %d %q: %w", c.Name, p.ID, p.Name, err)
}

func validatePort(c *Config, p *PortConfig) error {
	// Rule VS-01.
	switch {
	case p.Kind > ExternalPort:
		return fmt.Errorf("%w: kind %d", ErrPortKind, p.Kind)
	case p.Kind == ExternalPort && c.Kind != External:
		return fmt.Errorf("%w: only an external switch has an external port", ErrPortKind)
	case p.Kind == HostPort && c.Kind == Private:
		return fmt.Errorf("%w: a private switch has no host port", ErrPortKind)
	}
	if p.Kind != ExternalPort && (p.MAC.IsZero() || p.MAC.IsMulticast()) {
		return fmt.Errorf("%w: %s", ErrMAC, p.MAC)
	}
	if p.MTU < 0 || p.MTU > maxMTU {
		return fmt.Errorf("%w: %d", ErrMTU, p.MTU)
	}
	if p.Mirror > MirrorSource {
		return fmt.Errorf("%w: %d", ErrMirror, p.Mirror)
	}
	if err := validateVLAN(&p.VLAN); err != nil {
		return err
	}
	return validateACLs(p)
}

func validateVLAN(v *VLANConfig) error {
	valid := func(id uint16) bool { return id >= 1 && id <= maxVLAN }
	switch v.Mode {
	case VLANNone:
	case VLANAccess:
		if !valid(v.AccessID) {
			return fmt.Errorf("%w: access VLAN %d", ErrVLAN, v.AccessID)
		}
	case VLANTrunk:
		if v.Native > maxVLAN {
			return fmt.Errorf("%w: native VLAN %d", ErrVLAN, v.Native)
		}
		for _, id := range v.Allowed {
			if !valid(id) {
				return fmt.Errorf("%w: allowed VLAN %d", ErrVLAN, id)
			}
		}
	case VLANPrivate:
		switch {
		case v.Private > Isolated:
			return fmt.Errorf("%w: private VLAN mode %d", ErrVLAN, v.Private)
		case !valid(v.Primary):
			return fmt.Errorf("%w: primary VLAN %d", ErrVLAN, v.Primary)
		case v.Private != Promiscuous && (!valid(v.Secondary) || v.Secondary == v.Primary):
			return fmt.Errorf("%w: secondary VLAN %d", ErrVLAN, v.Secondary)
		}
	default:
		return fmt.Errorf("%w: mode %d", ErrVLAN, v.Mode)
	}
	return nil
}

func validateACLs(p *PortConfig) error {
	for i := range p.ACLs {
		a := &p.ACLs[i]
		if a.Dir > vfp.In || !sameFamily(a.Local, a.Remote) {
			return fmt.Errorf("%w: basic entry %d", ErrACL, i)
		}
	}
	for i := range p.ExtACLs {
		a := &p.ExtACLs[i]
		if a.Dir > vfp.In || !sameFamily(a.Local, a.Remote) || a.IdleTimeout < 0 {
			return fmt.Errorf("%w: extended entry %d", ErrACL, i)
		}
		for _, list := range [2][]vfp.PortRange{a.LocalPorts, a.RemotePorts} {
			for _, r := range list {
				if r.Lo > r.Hi {
					return fmt.Errorf("%w: extended entry %d: ports %d-%d", ErrACL, i, r.Lo, r.Hi)
				}
			}
		}
	}
	return nil
}

func sameFamily(a, b netip.Prefix) bool {
	return !a.IsValid() || !b.IsValid() || a.Addr().Is4() == b.Addr().Is4()
}
