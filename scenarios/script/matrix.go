package script

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
)

// maxVariants bounds the product of a matrix: more is a generator, not a
// scenario.
const maxVariants = 64

var variableName = regexp.MustCompile(`^[a-z][A-Za-z0-9_]*$`)

// parseMatrix reads "proto=udp,tcp", "mode=a,b" and returns their product, the
// first variable changing slowest.
func parseMatrix(words []string) ([]Variant, error) {
	variants := []Variant{{}}
	for _, w := range words {
		name, list, ok := strings.Cut(w, "=")
		if !ok || !variableName.MatchString(name) {
			return nil, fmt.Errorf("found %q, expected variable=value,value", w)
		}
		if _, ok := variants[0].Values[name]; ok {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		values := strings.Split(list, ",")
		if len(values)*len(variants) > maxVariants {
			return nil, fmt.Errorf("more than %d variants", maxVariants)
		}
		var next []Variant
		for _, v := range variants {
			for i, value := range values {
				if value == "" || slices.Contains(values[:i], value) || strings.ContainsAny(value, "/'$ ") {
					return nil, fmt.Errorf("bad value %q of %s", value, name)
				}
				next = append(next, v.with(name, value))
			}
		}
		variants = next
	}
	return variants, nil
}

func (v Variant) with(name, value string) Variant {
	out := Variant{Name: name + "=" + value, Values: map[string]string{name: value}}
	if v.Name != "" {
		out.Name = v.Name + "," + out.Name
	}
	for k, old := range v.Values {
		out.Values[k] = old
	}
	return out
}

// profileSet reads "ws2022", "ws2019,ws2022", ">=ws2022" or "<=ws2019". The
// order is that of the builds; strict-rfc is the newest service but no build of
// its own, so that only ranges upwards reach it.
func profileSet(text string) ([]string, error) {
	all := hcn.ProfileNames()
	var out []string
	for _, item := range strings.Split(text, ",") {
		op := strings.TrimRight(item, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
		name := item[len(op):]
		at := slices.Index(all, name)
		if at < 0 {
			return nil, fmt.Errorf("unknown profile %q%s; profiles are %s", name, didYouMean(name, all), strings.Join(all, ", "))
		}
		switch op {
		case "":
			out = append(out, name)
		case ">=":
			out = append(out, all[at:]...)
		case "<=":
			out = append(out, all[:at+1]...)
		default:
			return nil, fmt.Errorf("found %q, expected a profile, >=profile or <=profile", item)
		}
	}
	return out, nil
}
