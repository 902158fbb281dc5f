package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/reports"
)

// generated are the values in documents and texts that the service makes up:
// ids, MAC addresses, and the head of an id in the name of a NIC.
var generated = regexp.MustCompile(`(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{2}([-:][0-9a-f]{2}){5}|\bNIC [0-9a-f]{8}\b`)

// documents compares two JSON documents member by member, and what is no JSON
// as text.
//
// asked are the documents that were sent with the request; without one, or in
// answers to questions, those of the whole scenario count.
func (d *draft) documents(left, right, asked []byte) (rows []reports.FieldPair, equal bool) {
	c := &documentPair{draft: d, named: d.fixed}
	if len(asked) > 0 {
		c.named = fixtures{}
		c.named.document(asked)
	}
	l, lok := decode(left)
	r, rok := decode(right)
	if !lok || !rok {
		c.leaf("text", string(left), string(right))
	} else {
		c.value("", l, r)
	}
	for i := range c.rows {
		if c.rows[i].State == reports.FieldDiffers {
			return c.rows, false
		}
	}
	return c.rows, true
}

func decode(text []byte) (any, bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err == nil && !dec.More()
}

type documentPair struct {
	*draft
	named fixtures // what the request named
	rows  []reports.FieldPair
}

// absent is how a member that is not there is shown.
const absent = "(not there)"

func (c *documentPair) value(path string, l, r any) {
	switch lv := l.(type) {
	case map[string]any:
		if rv, ok := r.(map[string]any); ok {
			c.object(path, lv, rv)
			return
		}
	case []any:
		if rv, ok := r.([]any); ok {
			c.list(path, lv, rv)
			return
		}
	}
	c.leaf(path, show(l), show(r))
}

func (c *documentPair) object(path string, l, r map[string]any) {
	names := slices.Sorted(maps.Keys(l))
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if _, ok := l[name]; !ok {
			names = append(names, name)
		}
	}
	for _, name := range names {
		lv, lok := l[name]
		rv, rok := r[name]
		if strings.EqualFold(path+name, "Policies") { // none is a list, too
			lv, rv, lok, rok = listOf(lv), listOf(rv), true, true
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		switch {
		case !lok:
			c.lone(at, absent, show(rv))
		case !rok:
			c.lone(at, show(lv), absent)
		default:
			c.value(at, lv, rv)
		}
	}
}

// invented reports whether a service filled in a text by itself: a default that
// nobody wrote, or an id.
func (c *documentPair) invented(path, value string) bool {
	name := strings.ToLower(path[strings.LastIndexByte(path, '.')+1:])
	return !slices.Contains(assigned, name) && value != "" && value[0] != '{' && value[0] != '[' && !c.fixed["text "+value] &&
		(name == "name" || name == "id" || name == "type")
}

func listOf(v any) any {
	if v == nil {
		return []any{}
	}
	return v
}

func (c *documentPair) lone(path, left, right string) {
	state, note := c.unasked(path, assigned, c.named)
	if value := strings.TrimPrefix(left+right, absent); state == reports.FieldDiffers && c.invented(path, strings.TrimSuffix(value, absent)) {
		state, note = c.free(normUnasked)
	}
	c.rows = append(c.rows, reports.FieldPair{Field: path, Left: left, Right: right, State: state, Note: note})
}

// assigned are the members that a service must fill in, identity those that it
// must keep, whether somebody names them or not.
var (
	assigned = []string{"ipconfigurations", "ipaddress", "macaddress", "ipams", "subnets", "ipaddressprefix", "prefixlength", "routes", "nexthop", "destinationprefix"}
	identity = append([]string{"id", "name", "type"}, assigned...)
)

// unasked is what to make of a member that differs: what services add by
// themselves they add as they like.
func (c *documentPair) unasked(path string, matter []string, named fixtures) (reports.State, string) {
	for _, part := range strings.Split(path, ".") {
		name, _, _ := strings.Cut(strings.ToLower(part), "[")
		if name != "" && !slices.Contains(matter, name) && !named["member "+name] {
			return c.free(normUnasked)
		}
	}
	return reports.FieldDiffers, ""
}

func (c *documentPair) list(path string, l, r []any) {
	if strings.EqualFold(path, "Policies") && len(l) != len(r) && c.on(normUnasked) {
		n := len(l) + len(r)
		l, r = c.askedFor(l), c.askedFor(r)
		if len(l)+len(r) < n {
			c.use(normUnasked)
		}
	}
	for i := range max(len(l), len(r)) {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i >= len(l):
			c.lone(at, absent, show(r[i]))
		case i >= len(r):
			c.lone(at, show(l[i]), absent)
		default:
			c.value(at, l[i], r[i])
		}
	}
}

// askedFor leaves out policies of types that nobody asked for.
func (c *documentPair) askedFor(policies []any) []any {
	return slices.DeleteFunc(slices.Clone(policies), func(p any) bool {
		m, _ := p.(map[string]any)
		typ, ok := m["Type"].(string)
		return ok && !c.fixed["text "+typ]
	})
}

func (c *documentPair) leaf(path, l, r string) {
	if l != r && strings.HasPrefix(strings.ToLower(path), "macpool") && !c.fixed["text "+l] {
		// The ends of a pool are no addresses of anybody.
		state, note := c.free(normMACs)
		c.rows = append(c.rows, reports.FieldPair{Field: path, Left: l, Right: r, State: state, Note: note})
		return
	}
	if l != r && isTime(path) {
		state, note := c.free(normTimes)
		c.rows = append(c.rows, reports.FieldPair{Field: path, Left: l, Right: r, State: state, Note: note})
		return
	}
	state, note := c.text(l, r)
	if state == reports.FieldDiffers && note == "" {
		state, note = c.chosen(path, l, r)
	}
	if state == reports.FieldDiffers {
		if s, why := c.unasked(path, identity, c.fixed); s != state {
			state, note = s, why
		}
	}
	c.rows = append(c.rows, reports.FieldPair{Field: path, Left: l, Right: r, State: state, Note: note})
}

// isTime reports whether a member says when something happened.
func isTime(path string) bool {
	name := path[strings.LastIndexByte(path, '.')+1:]
	return name == "LastUpdateTime" || name == "CreateProcessingStartTime"
}

// chosen compares values that the service chooses where nobody asked for one:
// prefixes, addresses in them, ports.
func (d *draft) chosen(path, l, r string) (reports.State, string) {
	pl, err1 := netip.ParsePrefix(l)
	pr, err2 := netip.ParsePrefix(r)
	if err1 == nil && err2 == nil {
		if pl.Bits() != pr.Bits() || d.fixed["text "+l] || d.fixed["text "+r] {
			return reports.FieldDiffers, ""
		}
		pl, pr = pl.Masked(), pr.Masked()
		d.subnets = append(d.subnets, subnetPair{pl, pr})
		return d.mapped(normAddrs, "subnet", pl.String(), pr.String())
	}
	lp, err1 := strconv.ParseUint(l, 10, 16)
	rp, err2 := strconv.ParseUint(r, 10, 16)
	if err1 == nil && err2 == nil && strings.HasSuffix(path, "Port") && lp >= lowPorts && rp >= lowPorts &&
		!d.fixed["port "+l] && !d.fixed["port "+r] {
		return d.mapped(normPorts, "port chosen", l, r)
	}
	al, err1 := netip.ParseAddr(l)
	ar, err2 := netip.ParseAddr(r)
	state, note := d.addr(l, r)
	if state == reports.FieldDiffers && err1 == nil && err2 == nil && al.Is4() == ar.Is4() && !d.fixed["text "+l] && !d.fixed["text "+r] {
		return d.mapped(normAddrs, addrClass, l, r)
	}
	return state, note
}

// addrClass are the addresses that the service chose.
const addrClass = "address"

// text compares texts in which ids and MAC addresses may be generated.
func (d *draft) text(l, r string) (reports.State, string) {
	lt, rt := generated.FindAllString(l, -1), generated.FindAllString(r, -1)
	if len(lt) != len(rt) || generated.ReplaceAllString(l, "\x00") != generated.ReplaceAllString(r, "\x00") {
		if l == r {
			return reports.FieldSame, ""
		}
		return reports.FieldDiffers, ""
	}
	state, note := reports.FieldSame, ""
	for i := range lt {
		var s reports.State
		var n string
		if len(lt[i]) == len(rt[i]) && len(lt[i]) == macText {
			s, n = d.mac(clean(lt[i]), clean(rt[i]))
		} else {
			s, n = d.mapped(normIDs, "id", strings.ToLower(lt[i]), strings.ToLower(rt[i]))
		}
		if s == reports.FieldDiffers {
			return s, n
		}
		if s == reports.FieldNormalised {
			state, note = s, n
		}
	}
	return state, note
}

// macText is the length of a MAC address as text.
const macText = 17

// clean writes a MAC address as frames show it.
func clean(mac string) string { return strings.ToUpper(strings.ReplaceAll(mac, ":", "-")) }

// show is a value as text: strings without quotes.
func show(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
