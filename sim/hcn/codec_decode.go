package hcn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// decoder fills structs from a parsed document.
type decoder struct {
	src  []byte
	code Code // of shape errors: INVALID_JSON for documents, INVALID_POLICY for settings
	// normalised is set when something was read that is written differently:
	// an enumeration as an integer, or in another spelling.
	normalised bool
}

// decodeDocument parses src and decodes it into the struct that out points to.
func decodeDocument(src []byte, out any) *Error {
	n, err := parse(src)
	if err != nil {
		return err
	}
	d := &decoder{src: src, code: ErrInvalidJSON}
	return d.decode(n, reflect.ValueOf(out).Elem(), "")
}

func (d *decoder) fail(n *node, path, expected string) *Error {
	e := ErrorAt(d.code, path, n.describe(d.src), expected)
	e.Line, e.Column = position(d.src, n.off)
	return e
}

// raw returns the compact text of a value.
func (d *decoder) raw(n *node) json.RawMessage { return compactJSON(d.src[n.off:n.end]) }

// compactJSON removes white space between tokens. The text has been parsed.
func compactJSON(text []byte) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return append(json.RawMessage(nil), text...)
	}
	return b.Bytes()
}

func (d *decoder) decode(n *node, v reflect.Value, path string) *Error {
	t := v.Type()
	if n.kind == nullKind { // null stands for "not given"
		v.SetZero()
		return nil
	}
	switch {
	case t == rawType:
		v.SetBytes(d.raw(n))
		return nil
	case t == policyType:
		return d.policy(n, v.Addr().Interface().(*Policy), path, anyPolicy)
	}
	if table, ok := textEnums[t]; ok {
		return d.textEnum(n, v, path, table)
	}
	if table, ok := flagEnums[t]; ok {
		return d.flags(n, v, path, table)
	}
	if table, ok := numberEnums[t]; ok {
		return d.numberEnum(n, v, path, table)
	}
	return d.plain(n, v, path)
}

func (d *decoder) plain(n *node, v reflect.Value, path string) *Error {
	switch v.Kind() {
	case reflect.String:
		if n.kind != stringKind {
			return d.fail(n, path, "text")
		}
		v.SetString(n.str)
	case reflect.Bool:
		if n.kind != boolKind {
			return d.fail(n, path, "true or false")
		}
		v.SetBool(n.str == "true")
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return d.number(n, v, path)
	case reflect.Slice:
		return d.list(n, v, path)
	case reflect.Struct:
		return d.object(n, v, path)
	default:
		panic("hcn: no decoding for " + v.Type().String())
	}
	return nil
}

func (d *decoder) number(n *node, v reflect.Value, path string) *Error {
	bits := v.Type().Bits()
	if n.kind == numberKind {
		if u, err := strconv.ParseUint(n.str, 10, bits); err == nil {
			v.SetUint(u)
			return nil
		}
	}
	return d.fail(n, path, fmt.Sprintf("a whole number from 0 to %d", uint64(1)<<bits-1))
}

func (d *decoder) list(n *node, v reflect.Value, path string) *Error {
	if n.kind != arrayKind {
		return d.fail(n, path, "a list")
	}
	if len(n.elems) == 0 {
		v.SetZero()
		return nil
	}
	out := reflect.MakeSlice(v.Type(), len(n.elems), len(n.elems))
	for i, e := range n.elems {
		elemPath := path + "[" + strconv.Itoa(i) + "]"
		if e.kind == nullKind {
			return d.fail(e, elemPath, "a list element that is not null")
		}
		if err := d.decode(e, out.Index(i), elemPath); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

func (d *decoder) object(n *node, v reflect.Value, path string) *Error {
	if n.kind != objectKind {
		return d.fail(n, path, "an object")
	}
	info := infoOf(v.Type())
	var extras Extras
	for i, m := range n.members {
		f := info.find(m.name)
		if f == nil {
			extras = setExtra(extras, m.name, d.raw(m.val))
			continue
		}
		if d.repeatedLater(n, i, f) {
			continue // the last of several members with one name wins
		}
		fv := v.FieldByIndex(f.index)
		memberPath := joinPath(path, f.name)
		if fv.Type() == policyListType {
			if err := d.policies(m.val, fv, memberPath, policyContext(v.Type())); err != nil {
				return err
			}
			continue
		}
		if err := d.decode(m.val, fv, memberPath); err != nil {
			return err
		}
	}
	if info.extras != nil && len(extras) > 0 {
		v.FieldByIndex(info.extras).Set(reflect.ValueOf(extras))
	}
	return nil
}

func (d *decoder) repeatedLater(n *node, i int, f *structField) bool {
	for _, m := range n.members[i+1:] {
		if equalFold(m.name, f.name) || f.alias != "" && equalFold(m.name, f.alias) {
			return true
		}
	}
	return false
}

// setExtra adds or replaces a member, so that no name occurs twice.
func setExtra(list Extras, name string, value json.RawMessage) Extras {
	for i := range list {
		if equalFold(list[i].Name, name) {
			list[i].Value = value
			return list
		}
	}
	return append(list, Member{name, value})
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d *decoder) textEnum(n *node, v reflect.Value, path string, table textTable) *Error {
	switch n.kind {
	case stringKind:
		text, _, ok := table.lookup(n.str)
		if !ok {
			text = n.str
		}
		d.normalised = d.normalised || text != n.str
		v.SetString(text)
		return nil
	case numberKind:
		num, err := strconv.ParseInt(n.str, 10, 64)
		if err != nil {
			break
		}
		text, ok := table.text(num)
		if !ok {
			text = n.str
		}
		d.normalised = true
		v.SetString(text)
		return nil
	}
	return d.fail(n, path, "one of "+table.list()+", as text or as its number")
}

// flags reads a sum of bits, or names separated by commas.
func (d *decoder) flags(n *node, v reflect.Value, path string, table textTable) *Error {
	if n.kind == numberKind {
		return d.number(n, v, path)
	}
	if n.kind != stringKind {
		return d.fail(n, path, "a sum of flag bits")
	}
	var sum uint64
	for _, word := range strings.Split(n.str, ",") {
		word = strings.TrimSpace(word)
		if word == "" || strings.EqualFold(word, "None") {
			continue
		}
		_, bit, ok := table.lookup(word)
		if !ok {
			return d.fail(n, path, "a sum of flag bits, or names out of "+table.list())
		}
		sum |= uint64(bit)
	}
	d.normalised = true
	v.SetUint(sum)
	return nil
}

// numberEnum reads an enumeration that is written as an integer.
func (d *decoder) numberEnum(n *node, v reflect.Value, path string, table textTable) *Error {
	if n.kind == numberKind {
		return d.number(n, v, path)
	}
	if n.kind == stringKind {
		d.normalised = true
		if _, num, ok := table.lookup(n.str); ok {
			v.SetUint(uint64(num))
			return nil
		}
		if u, err := strconv.ParseUint(n.str, 10, 32); err == nil {
			v.SetUint(u)
			return nil
		}
	}
	return d.fail(n, path, "a number, or one of "+table.list())
}
