package hns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/vfp"
)

// Random operations on a host, and two compilers that see every state: one goes
// on from the program before, one starts over each time. The programs, and all
// that they refer to, are the same. What a step keeps it keeps by pointer.
func TestStepsMakeTheProgramThatStartingOverMakes(t *testing.T) {
	seeds, stepped, kept := uint64(18), 0, 0
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		profile := []string{hcn.WS2019, hcn.WS2022, hcn.WS2025}[seed%3]
		h := mkHost(t, profile)
		step, over := newStepCompiler(profile), newStepCompiler(profile)
		podsOn(h, []string{overlayDoc, bridgeDoc, transparentDoc}[seed/3%3])
		w := &walker{h: h, r: rand.New(rand.NewPCG(seed, 5))}
		seen := 0
		for i := range 120 {
			if err := w.podStep(); err != nil && w.r.IntN(3) == 0 {
				_ = w.step()
			}
			if !h.Running() {
				h.must(h.Start())
			}
			for ; seen < len(h.applied); seen++ {
				s := h.applied[seen]
				before := step.last
				got, err := step.Compile(s)
				over.Forget()
				want, err2 := over.Compile(s)
				if fmt.Sprint(err) != fmt.Sprint(err2) {
					t.Fatalf("seed %d, operation %d: %v; starting over: %v", seed, i, err, err2)
				}
				if err != nil {
					step.Forget()
					continue
				}
				for j := range got.Switches {
					if adopt := got.Switches[j].Config.Adopt; adopt != nil {
						adopt()
					}
				}
				if before != nil && step.last == before {
					stepped++
					kept += len(got.Interfaces)
				}
				if a, b := textOf(got), textOf(want); a != b {
					t.Fatalf("seed %d, operation %d:\n%s", seed, i, firstDifference(a, b))
				}
			}
		}
	}
	if stepped < 12*int(seeds) || kept == 0 {
		t.Errorf("only %d steps, with %d interfaces", stepped, kept)
	}
}

// podsOn gives the host a network and some pods.
func podsOn(h *host, doc string) {
	net := h.network(doc)
	for range 3 {
		ns := h.namespace(hcn.HostNamespace)
		ep := h.endpoint(net, plainEndpoint)
		h.must(h.join(ns, ep))
		h.must(h.StartContainer(ns, "c", ProcessIsolated))
	}
}

// podStep does what happens to pods all the time.
func (w *walker) podStep() error {
	h, r := w.h, w.r
	switch r.IntN(9) {
	case 0, 1:
		policies := []string{
			``, `{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.0.0.0/8"]}}`, `{"Type":"QOS","Settings":{"MaximumOutgoingBandwidthInBytes":100000}}`,
			`{"Type":"ACL","Settings":{"Action":"Block","Direction":"Out","Priority":200,"RemoteAddresses":"10.9.0.0/16"}}`,
			`{"Type":"SDNRoute","Settings":{"DestinationPrefix":"10.127.130.35/32","NeedEncap":true}}`,
		}
		// A few addresses, so that they come again, and sometimes clash.
		ip := fmt.Sprintf("10.244.1.%d", 10+r.IntN(6))
		_, err := h.CreateEndpoint(w.pick(NetworkKind), "", []byte(`{"IpConfigurations":[{"IpAddress":"`+ip+`","PrefixLength":24}],"Policies":[`+policies[r.IntN(len(policies))]+`],"SchemaVersion":{"Major":2}}`))
		return err
	case 2:
		_, err := h.CreateEndpoint(w.pick(NetworkKind), "", fmt.Appendf(nil, `{"Flags":1,"MacAddress":"02-11-0A-F4-02-0%d","IpConfigurations":[{"IpAddress":"10.244.%d.%d","PrefixLength":24}],
			"Policies":[{"Type":"ProviderAddress","Settings":{"ProviderAddress":"10.127.130.%d"}}],"SchemaVersion":{"Major":2}}`, r.IntN(4), 1+r.IntN(2), 10+r.IntN(6), 35+r.IntN(3)))
		return err
	case 3:
		_, err := h.CreateNamespace("", []byte(`{"Type":"Host"}`))
		return err
	case 4, 5:
		return h.join(w.pick(NamespaceKind), w.pick(EndpointKind))
	case 6:
		return h.StartContainer(w.pick(NamespaceKind), "c", ProcessIsolated)
	case 7:
		k := []Kind{EndpointKind, EndpointKind, NamespaceKind}[r.IntN(3)]
		return h.Delete(k, w.pick(k))
	}
	return w.step()
}

func newStepCompiler(profile string) *Compiler {
	addr := []netip.Prefix{netip.MustParsePrefix("10.127.130.35/24")}
	return NewCompiler(hcn.MustProfile(profile), vfp.NewPortSpace(), []Adapter{
		{Name: "Ethernet", MAC: [6]byte{0, 0x15, 0x5D, 0x82, 0, 0x23}, MTU: 1500, Addrs: addr, Gateway: netip.MustParseAddr("10.127.130.1")},
		{Name: "Ethernet 2", MAC: [6]byte{0, 0x15, 0x5D, 0x82, 0, 0x24}, MTU: 1500, Addrs: []netip.Prefix{netip.MustParsePrefix("172.31.9.1/24")}},
	})
}

// textOf writes everything that a program refers to. Functions have no text;
// what they close over is in the spaces and pools of the program too.
func textOf(p *fabric.HostProgram) string {
	d := &deepText{seen: map[seenAt]int{}}
	d.write(reflect.ValueOf(p), 0)
	return d.b.String()
}

type deepText struct {
	b    strings.Builder
	seen map[seenAt]int
}

type seenAt struct {
	p uintptr
	t reflect.Type
}

func (d *deepText) line(depth int, format string, args ...any) {
	fmt.Fprintf(&d.b, "%*s"+format+"\n", append([]any{depth, ""}, args...)...)
}

func (d *deepText) write(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		d.pointer(v, depth)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[netip.Addr]() || v.Type() == reflect.TypeFor[netip.Prefix]() {
			d.line(depth, "%v", v)
			return
		}
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Adopt" {
				d.line(depth, "%s", name)
				d.write(v.Field(i), depth+1)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			d.line(depth, "-")
			d.write(v.Index(i), depth+1)
		}
	case reflect.Map:
		d.table(v, depth)
	case reflect.Func, reflect.UnsafePointer, reflect.Chan:
		d.line(depth, "func %t", v.IsNil())
	default:
		d.line(depth, "%v", v)
	}
}

func (d *deepText) pointer(v reflect.Value, depth int) {
	if v.IsNil() {
		d.line(depth, "nil")
		return
	}
	if v.Kind() == reflect.Interface {
		d.line(depth, "%s", v.Elem().Type())
		d.write(v.Elem(), depth)
		return
	}
	// Who holds ports is compared by what the pools say of themselves.
	if v.Type() == reflect.TypeFor[*vfp.PortSpace]() {
		d.line(depth, "port space")
		return
	}
	k := seenAt{v.Pointer(), v.Type()}
	if d.seen[k] == 0 {
		d.seen[k] = len(d.seen) + 1
		d.write(v.Elem(), depth)
	}
}

func (d *deepText) table(v reflect.Value, depth int) {
	var rows []string
	for it := v.MapRange(); it.Next(); {
		row := &deepText{seen: d.seen}
		row.write(it.Key(), depth)
		row.write(it.Value(), depth+1)
		rows = append(rows, row.b.String())
	}
	slices.Sort(rows)
	for _, r := range rows {
		d.b.WriteString(r)
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			from := max(0, i-15)
			return fmt.Sprintf("line %d\nstep:\n%s\nstarting over:\n%s", i, strings.Join(x[from:min(len(x), i+5)], "\n"), strings.Join(y[from:min(len(y), i+5)], "\n"))
		}
	}
	return fmt.Sprintf("%d lines, starting over %d", len(x), len(y))
}
