package hcn

import (
	"encoding/json"
	"reflect"
	"strconv"
)

// encodeDocument writes a struct of this package as compact JSON. shape
// decides the form of policies.
func encodeDocument(v any, shape Shape) []byte {
	e := &encoder{shape: shape}
	e.value(reflect.Indirect(reflect.ValueOf(v)))
	return e.w.bytes()
}

type encoder struct {
	w     writer
	shape Shape
}

func (e *encoder) value(v reflect.Value) {
	switch v.Type() {
	case rawType:
		e.rawValue(v.Bytes())
		return
	case policyType:
		p := v.Interface().(Policy)
		e.policy(&p)
		return
	}
	switch v.Kind() {
	case reflect.String:
		e.w.str(v.String())
	case reflect.Bool:
		e.w.raw(strconv.FormatBool(v.Bool()))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.w.uint(v.Uint())
	case reflect.Slice:
		e.w.array(v.Len(), func(i int) { e.value(v.Index(i)) })
	case reflect.Struct:
		e.object(v)
	default:
		panic("hcn: no encoding for " + v.Type().String())
	}
}

func (e *encoder) rawValue(b json.RawMessage) {
	if len(b) == 0 {
		e.w.raw("null")
		return
	}
	e.w.raw(string(b))
}

func (e *encoder) object(v reflect.Value) {
	info := infoOf(v.Type())
	e.w.object(func() {
		for _, f := range info.fields {
			fv := v.FieldByIndex(f.index)
			if f.omitEmpty && isEmpty(fv) {
				continue
			}
			e.w.member(f.name, func() { e.value(fv) })
		}
		if info.extras != nil {
			e.w.extras(v.FieldByIndex(info.extras).Interface().(Extras))
		}
	})
}

func isEmpty(v reflect.Value) bool {
	if v.Kind() == reflect.Slice {
		return v.Len() == 0
	}
	if v.Kind() != reflect.Struct {
		return v.IsZero()
	}
	for i := 0; i < v.NumField(); i++ {
		if !isEmpty(v.Field(i)) {
			return false
		}
	}
	return true
}
