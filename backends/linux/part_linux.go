package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
)

// openPart makes a world with wires that lead out of it.
func openPart(ctx context.Context, cfg backends.WorldConfig, wires map[string]string) (backends.Part, error) {
	w, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	part := w.(*world)
	part.wires = wires
	return part, nil
}

// tapPatience is how long an earlier world's hold on an interface may last: the
// kernel takes namespaces down in its own time.
const tapPatience = 5 * time.Second

// tap makes a bridge of the fabric reach the wire that an interface of the
// process's own namespace is on. A macvlan device in passthru mode takes all
// that the interface receives, and what it sends is the interface's. It is made
// in the fabric's namespace and ends with it, so that the machine's own has
// nothing to clean up.
func (w *world) tap(bridge, device string) error {
	lower, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("wire %s: %w", device, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = "tap-"+bridge, lower.Attrs().Index
	attrs.MTU = lower.Attrs().MTU
	attrs.Namespace = netlink.NsFd(int(w.fabric.handle))
	tap := &netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_PASSTHRU}
	for end := time.Now().Add(tapPatience); ; time.Sleep(20 * time.Millisecond) {
		if err = netlink.LinkAdd(tap); err == nil {
			break
		}
		taken := errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EINVAL)
		if !taken || time.Now().After(end) {
			return fmt.Errorf("a tap on the wire %s: %w", device, err)
		}
	}
	w.taps = append(w.taps, attrs.Name)
	if err := w.fabric.noOffloads(attrs.Name); err != nil {
		return err
	}
	return errors.Join(w.fabric.enslave(attrs.Name, bridge, false), w.fabric.up(attrs.Name))
}

// untap gives the machine's interfaces back at once.
func (w *world) untap() error {
	var errs []error
	for _, name := range w.taps {
		errs = append(errs, w.fabric.remove(name))
	}
	w.taps = nil
	return errors.Join(errs...)
}

// Elsewhere tells of a node of another part: a router among them is a gateway
// here, too.
func (w *world) Elsewhere(_ context.Context, n backends.Node) error {
	if w.nodes[n.Name] != nil || w.containers[n.Name] != nil {
		return usage("role %q exists already", n.Name)
	}
	if n.Kind != backends.RouterNode {
		return nil
	}
	nd := &node{spec: n}
	for _, i := range n.Ifaces {
		if b, ok := w.segments[segmentName(i.Segment)]; ok {
			nd.nics = append(nd.nics, &nic{segment: b, addrs: i.Addrs})
			continue
		}
		if w.wires[segmentName(i.Segment)] == "" {
			continue // a segment that does not come here
		}
		b, err := w.segment(i.Segment)
		if err != nil {
			return err
		}
		nd.nics = append(nd.nics, &nic{segment: b, addrs: i.Addrs})
	}
	w.far = append(w.far, nd)
	return w.gateways()
}

// routers are those that can be gateways, in the order in which they came.
func (w *world) routers() []*node {
	var out []*node
	for _, name := range w.order {
		if nd := w.nodes[name]; nd.spec.Kind == backends.RouterNode {
			out = append(out, nd)
		}
	}
	return append(out, w.far...)
}

// shortly is what a frame may take from one part to another, and longer than
// the loop is away from its sockets.
const shortly = time.Millisecond

// Settle waits until nothing has moved here for a while. The loop runs between
// operations, too (see Serve): what has been quiet for long enough need not be
// waited for.
func (w *world) Settle(_ context.Context, brief bool) (bool, error) {
	begun := time.Now()
	d := quietFor
	if brief && !w.loop.serves() {
		d = sendsFor
	}
	err := w.loop.quietSince(d)
	w.record()
	return w.loop.active.After(begun.Add(-shortly)), errors.Join(err, w.freeze())
}

// Serve lets sockets answer and captures what comes.
func (w *world) Serve(d time.Duration) error {
	return w.loop.until(d, func() bool { return false })
}

// CheckWire says why an interface cannot carry a segment, or "".
func (Backend) CheckWire(device string) string {
	l, err := netlink.LinkByName(device)
	switch {
	case err != nil:
		return fmt.Sprintf("no interface %s: %v", device, err)
	case l.Attrs().Flags&net.FlagUp == 0:
		return fmt.Sprintf("interface %s is down (ip link set %s up)", device, device)
	case l.Attrs().MasterIndex != 0:
		return fmt.Sprintf("interface %s is a port of another device; a wire must be free", device)
	}
	return ""
}

// Ready says what this machine lacks for parts, or "".
func (Backend) Ready() string {
	if os.Geteuid() != 0 {
		return "an agent needs root: it makes network namespaces and puts them on an interface of this machine"
	}
	return Check()
}
