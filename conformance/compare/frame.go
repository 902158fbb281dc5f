package compare

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/wire"
)

// view is a frame taken apart.
type view struct {
	frame  []byte
	layers []wire.Layer
}

func (l *ledger) view(frame []byte) view {
	var m wire.Meta
	wire.Parse(frame, &m)
	return view{frame, l.fixed.decoder(&m).Describe(frame)}
}

func (v *view) value(layer, field string) string {
	s, _ := wire.Lookup(v.layers, layer, field)
	return s
}

func (v *view) layer(name string) *wire.Layer {
	for i := range v.layers {
		if v.layers[i].Name == name {
			return &v.layers[i]
		}
	}
	return nil
}

func (v *view) names() string {
	var out []string
	for _, l := range v.layers {
		out = append(out, l.Name)
	}
	return strings.Join(out, " ")
}

// addr is the source or destination address at a level of encapsulation.
func (v *view) addr(prefix, side string) string {
	if a := v.value(prefix+"ip", side); a != "" {
		return a
	}
	return v.value(prefix+"ip6", side)
}

// frames compares two frames field by field. The rows are in the order of the
// left packet; what only the right one has follows.
func (d *draft) frames(left, right []byte) (rows []reports.FieldPair, equal bool) {
	if string(left) == string(right) && d.identical(left) {
		return nil, true
	}
	f := &framePair{draft: d, l: d.view(left), r: d.view(right)}
	f.quotes = f.on(normQuotes) && f.l.layer("quoted.ip") != nil && f.r.layer("quoted.ip") != nil
	if l, r := f.l.names(), f.r.names(); l != r {
		state, note := reports.FieldDiffers, ""
		if f.quotes && strings.TrimSuffix(l, " quoted.payload") == strings.TrimSuffix(r, " quoted.payload") {
			state, note = f.free(normQuotes)
		}
		f.row("layers", l, r, state, note)
	}
	for i := range f.l.layers {
		f.layer(&f.l.layers[i], f.r.layer(f.l.layers[i].Name))
	}
	for i := range f.r.layers {
		if r := &f.r.layers[i]; f.l.layer(r.Name) == nil {
			for _, field := range r.Fields {
				f.lone(r.Name, field.Name, "", field.Value)
			}
		}
	}
	f.remainder()
	f.excuse()
	f.checksums()
	for i := range f.rows {
		if f.rows[i].State == reports.FieldDiffers {
			return f.rows, false
		}
	}
	return f.rows, true
}

// remainder compares the bytes that are in no field, such as reserved ones.
func (f *framePair) remainder() {
	l, r := f.l.remainder(), f.r.remainder()
	state := reports.FieldSame
	if string(l) != string(r) {
		state = reports.FieldDiffers
	}
	if len(l)+len(r) > 0 {
		f.row("reserved", printable(l), printable(r), state, "")
	}
}

// remainder are the bytes of a frame that no field covers.
func (v *view) remainder() []byte {
	covered := make([]bool, len(v.frame))
	for _, layer := range v.layers {
		for _, field := range layer.Fields {
			for i := field.Off; i < min(field.Off+field.Len, len(covered)); i++ {
				covered[i] = true
			}
		}
	}
	var out []byte
	for i, c := range covered {
		if !c {
			out = append(out, v.frame[i])
		}
	}
	return out
}

// excuse looks away from fields that are known to differ.
func (f *framePair) excuse() {
	for i := range f.rows {
		row := &f.rows[i]
		if row.State != reports.FieldDiffers || !slices.Contains(f.knownFields, row.Field) || !f.on(normKnown) {
			continue
		}
		row.State, row.Note = f.free(normKnown)
		if f.known == nil {
			f.draft.known = &reports.Difference{
				Line: f.line, Command: f.command, Where: "a frame of this line", What: "only fields that are known to differ do",
				Left: row.Field + " " + row.Left, Right: row.Field + " " + row.Right, Fields: []reports.FieldPair{*row},
			}
		}
	}
}

// identical claims for a frame that is the same on both sides that every
// address and port in it is. It is false if an earlier frame says otherwise.
func (d *draft) identical(frame []byte) bool {
	for range 4 {
		var m wire.Meta
		if wire.Parse(frame, &m) != wire.OK {
			return true
		}
		e := wire.Ethernet(frame)
		for _, mac := range []wire.MAC{e.Src(), e.Dst()} {
			if s := mac.String(); !mac.IsMulticast() && d.pair("mac", s, s) != "" {
				return false
			}
		}
		if !m.HasL4 {
			return true
		}
		_, tunnel, ok := d.tunnel(frame, &m)
		if !d.samePorts(frame, &m, ok) {
			return false
		}
		if !ok {
			return true
		}
		frame = frame[tunnel.Inner:tunnel.End]
	}
	return true
}

func (d *draft) samePorts(frame []byte, m *wire.Meta, tunnel bool) bool {
	proto := map[uint8]string{wire.ProtoTCP: "tcp", wire.ProtoUDP: "udp"}[m.Proto]
	if proto == "" {
		return true
	}
	for _, end := range []struct {
		addr netip.Addr
		port uint16
		skip bool
	}{{m.Src(frame), m.SrcPort, tunnel}, {m.Dst(frame), m.DstPort, false}} {
		addr, port := end.addr.String(), strconv.Itoa(int(end.port))
		if !end.skip && !d.fixed.shared(addr) && !d.fixed.hasPort(addr, end.port) && d.pair(portClass(proto), addr+":"+port, addr+":"+port) != "" {
			return false
		}
	}
	return true
}

func portClass(proto string) string { return "port " + proto }

// tunnel is what the frame carries.
func (l *ledger) tunnel(frame []byte, m *wire.Meta) (string, wire.Tunnel, bool) {
	if t, ok := wire.ParseNVGRE(frame, m); ok {
		return "nvgre", t, true
	}
	if m.DstPort == wire.VXLANPort || l.fixed["vxlan "+strconv.Itoa(int(m.DstPort))] {
		t, ok := wire.ParseVXLAN(frame, m)
		return "vxlan", t, ok && t.Flags&wire.VXLANFlagI != 0
	}
	return "", wire.Tunnel{}, false
}

// framePair is a comparison under way.
type framePair struct {
	*draft
	l, r   view
	quotes bool // both are ICMP errors that may quote more or less
	rows   []reports.FieldPair
}

func (f *framePair) row(field, left, right string, state reports.State, note string) {
	f.rows = append(f.rows, reports.FieldPair{Field: field, Left: left, Right: right, State: state, Note: note})
}

// layer compares a layer with its counterpart, which may be missing.
func (f *framePair) layer(l, r *wire.Layer) {
	seen := map[string]int{}
	for _, lf := range l.Fields {
		rf, ok := nth(r, lf.Name, seen[lf.Name])
		seen[lf.Name]++
		if !ok {
			f.lone(l.Name, lf.Name, lf.Value, "")
			continue
		}
		state, note := f.field(l.Name, lf, rf)
		f.row(l.Name+"."+lf.Name, lf.Value, rf.Value, state, note)
	}
	if r == nil {
		return
	}
	again := map[string]int{}
	for _, rf := range r.Fields {
		if again[rf.Name]++; again[rf.Name] > seen[rf.Name] {
			f.lone(r.Name, rf.Name, "", rf.Value)
		}
	}
}

// nth is the nth field of that name.
func nth(l *wire.Layer, name string, n int) (wire.Field, bool) {
	if l != nil {
		for _, f := range l.Fields {
			if f.Name == name {
				if n == 0 {
					return f, true
				}
				n--
			}
		}
	}
	return wire.Field{}, false
}

// lone is a field that one side does not have.
func (f *framePair) lone(layer, name, left, right string) {
	_, base := splitLayer(layer)
	if base == "tcp" && name == "options" && f.on(normTCP) {
		f.use(normTCP)
		f.row(layer+"."+name, left, right, reports.FieldNormalised, normTCP)
		return
	}
	state, note := reports.FieldDiffers, ""
	if f.quotes && quoteMayDiffer(layer, name) {
		state, note = f.free(normQuotes)
	}
	f.row(layer+"."+name, left, right, state, note)
}

// quoteMayDiffer are the fields of an ICMP error that follow from how much it
// quotes, and its TOS.
func quoteMayDiffer(layer, name string) bool {
	switch layer {
	case "quoted.payload":
		return true
	case "quoted.tcp": // only its first 8 bytes are sure to be there
		return name != "sport" && name != "dport" && name != "seq"
	}
	return layer == "ip" && (name == "len" || name == "tos")
}

// splitLayer splits "inner.quoted.ip" into "inner.quoted." and "ip".
func splitLayer(layer string) (prefix, base string) {
	i := strings.LastIndexByte(layer, '.') + 1
	return layer[:i], layer[i:]
}

// checksums decides about checksums last: whether they may differ depends on
// what they cover.
func (f *framePair) checksums() {
	for i := range f.rows {
		row := &f.rows[i]
		if !strings.HasSuffix(row.Field, ".checksum") || row.State != reports.FieldDiffers || row.Left == "" || row.Right == "" {
			continue
		}
		lw, rw := strings.Contains(row.Left, "wrong"), strings.Contains(row.Right, "wrong")
		ln, rn := row.Left == "none", row.Right == "none"
		prefix, _ := splitLayer(strings.TrimSuffix(row.Field, ".checksum"))
		if !lw && !rw && ln != rn && row.Field == prefix+"udp.checksum" && f.l.layer(prefix+"vxlan") != nil && f.on(normTunnel) {
			row.State, row.Note = f.free(normTunnel)
			continue
		}
		// What an error quotes cannot be checked, nor what a fragment has the
		// beginning of; it may differ only if something else in it does.
		unexplained := strings.Contains(row.Field, "quoted.") && !f.differsIn(row.Field[:strings.Index(row.Field, "quoted.")+len("quoted.")])
		if strings.Contains(f.l.value(prefix+"ip", "flags"), "MF") && row.Field != prefix+"ip.checksum" {
			unexplained = unexplained || !f.differsIn(prefix)
		}
		if lw == rw && ln == rn && !unexplained && f.on(normChecksums) {
			row.State, row.Note = reports.FieldNormalised, normChecksums
			f.use(normChecksums)
		}
	}
}

// differsIn reports whether anything but checksums differs below a prefix.
func (f *framePair) differsIn(prefix string) bool {
	for _, row := range f.rows {
		if strings.HasPrefix(row.Field, prefix) && row.State != reports.FieldSame && !strings.HasSuffix(row.Field, ".checksum") {
			return true
		}
	}
	return false
}
