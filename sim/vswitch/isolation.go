package vswitch

import "fmt"

// IsolationMode is what separates a port's traffic from that of others, the
// alternative to its VLAN setting (VMNetworkAdapterIsolation, rule VS-27).
type IsolationMode uint8

const (
	IsolationNone IsolationMode = iota // the VLAN setting holds
	// NativeVirtualSubnet: the switch keeps ports of one virtual subnet among
	// themselves; what leaves the machine has to be encapsulated.
	NativeVirtualSubnet
	// ExternalVirtualSubnet: the same, with ids that a forwarding extension
	// gives out.
	ExternalVirtualSubnet
	IsolationVLAN // an 802.1Q VLAN
)

// Isolation is a port's isolation setting.
type Isolation struct {
	Mode IsolationMode
	// DefaultID is the VLAN or virtual subnet of what the port sends untagged.
	DefaultID uint32
	// AllowUntagged lets the port have the switch's untagged traffic too. What
	// the port itself sends untagged is the default id's either way: the host
	// vNIC of an SDN host works with it off.
	AllowUntagged bool
	// MultiTenant says that who is behind the port tags its traffic itself: it
	// may use the VLANs of IDs, and sees the tag of all but the default one.
	MultiTenant bool
	IDs         []uint16
}

// subnetZones keeps the zones of isolation ids apart from those that the
// control plane gives out, which have 24 bits.
const subnetZones = 1 << 24

// Isolate puts the setting into effect. The port's VLAN setting does not count
// any more then.
func (c *PortConfig) Isolate(i Isolation) error {
	switch i.Mode {
	case IsolationNone:
		return nil
	case NativeVirtualSubnet, ExternalVirtualSubnet:
		if i.DefaultID == 0 || i.DefaultID >= subnetZones {
			return fmt.Errorf("%w: virtual subnet %d, expected 1 to %d", ErrIsolation, i.DefaultID, subnetZones-1)
		}
		if i.MultiTenant || i.AllowUntagged {
			return fmt.Errorf("%w: untagged traffic and a multi-tenant stack go with VLANs", ErrIsolation)
		}
		c.VLAN = VLANConfig{}
		c.Zone, c.Confined = subnetZones*uint32(i.Mode)+i.DefaultID, true
		return nil
	case IsolationVLAN:
	default:
		return fmt.Errorf("%w: mode %d", ErrIsolation, i.Mode)
	}
	if i.DefaultID == 0 || i.DefaultID > maxVLAN {
		return fmt.Errorf("%w: VLAN %d, expected 1 to %d", ErrIsolation, i.DefaultID, maxVLAN)
	}
	c.VLAN = VLANConfig{Mode: VLANAccess, AccessID: uint16(i.DefaultID), AllowUntagged: i.AllowUntagged}
	if i.MultiTenant {
		c.VLAN = VLANConfig{Mode: VLANTrunk, Native: uint16(i.DefaultID), Allowed: i.IDs, AllowUntagged: i.AllowUntagged}
	}
	return nil
}
