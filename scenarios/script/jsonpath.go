package script

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// step is one step of a path into a JSON document.
type step struct {
	member string // object member, in any case
	index  int    // of a list, if member and key are empty
	key    string // [key=value] picks an element; [len] is key "len"
	value  string
}

const maxSteps = 32

// parsePath reads Ipams[0].Subnets[0].Policies[Type=VLAN].Settings.
func parsePath(text string) ([]step, error) {
	var out []step
	bad := func() ([]step, error) {
		return nil, fmt.Errorf("found path %s, expected members and [index], such as Ipams[0].Subnets", quoteShort(text))
	}
	for _, part := range strings.Split(text, ".") {
		member, rest, _ := strings.Cut(part, "[")
		if member != "" {
			out = append(out, step{member: member})
		} else if rest == "" {
			return bad()
		}
		for rest != "" {
			inside, next, ok := strings.Cut(rest, "]")
			if !ok || next != "" && next[0] != '[' {
				return bad()
			}
			s, err := parseIndex(inside)
			if err != nil {
				return bad()
			}
			out = append(out, s)
			rest = strings.TrimPrefix(next, "[")
			if next == "[" {
				return bad()
			}
		}
		if strings.HasSuffix(part, "[") || len(out) > maxSteps {
			return bad()
		}
	}
	return out, nil
}

func parseIndex(inside string) (step, error) {
	if inside == "len" {
		return step{key: "len"}, nil
	}
	if k, v, ok := strings.Cut(inside, "="); ok && k != "" {
		return step{key: k, value: v}, nil
	}
	n, err := strconv.Atoi(inside)
	if err == nil && n < 0 {
		err = fmt.Errorf("negative")
	}
	return step{index: n}, err
}

// walk follows a path and prints what is there: text as it is, other values as
// JSON, each with a newline.
func walk(doc []byte, path []step) (string, error) {
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		return "", fmt.Errorf("the document is no JSON: %w", err)
	}
	at := ""
	for _, s := range path {
		next, err := s.follow(v)
		if err != nil {
			return "", fmt.Errorf("%s: %w", strings.TrimPrefix(at+s.String(), "."), err)
		}
		v = next
		at += s.String()
	}
	return plain(v) + "\n", nil
}

func plain(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func (s step) String() string {
	switch {
	case s.member != "":
		return "." + s.member
	case s.key == "len" && s.value == "":
		return "[len]"
	case s.key != "":
		return "[" + s.key + "=" + s.value + "]"
	}
	return fmt.Sprintf("[%d]", s.index)
}

func (s step) follow(v any) (any, error) {
	if s.member != "" {
		object, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("no object")
		}
		name, ok := memberName(object, s.member)
		if !ok {
			return nil, fmt.Errorf("no such member; there are %s", strings.Join(memberNames(object), ", "))
		}
		return object[name], nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("no list")
	}
	if s.key == "len" && s.value == "" {
		return len(list), nil
	}
	if s.key == "" {
		if s.index >= len(list) {
			return nil, fmt.Errorf("the list has %d elements", len(list))
		}
		return list[s.index], nil
	}
	for _, e := range list {
		if object, ok := e.(map[string]any); ok {
			if name, ok := memberName(object, s.key); ok && strings.EqualFold(plain(object[name]), s.value) {
				return e, nil
			}
		}
	}
	return nil, fmt.Errorf("no such element among %d", len(list))
}

// memberName finds a member: names of HNS documents have no certain case
// (rule B2).
func memberName(object map[string]any, name string) (string, bool) {
	if _, ok := object[name]; ok {
		return name, true
	}
	for _, n := range memberNames(object) {
		if strings.EqualFold(n, name) {
			return n, true
		}
	}
	return "", false
}

func memberNames(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for n := range object {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// contains reports the first place where got lacks what want names, or nil.
func contains(want, got any, at string) *FieldDiff {
	if want == "*" && got != nil {
		return nil
	}
	diff := func() *FieldDiff {
		return &FieldDiff{Field: strings.TrimPrefix(at, "."), Want: plain(want), Got: plain(got)}
	}
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return diff()
		}
		for _, m := range memberNames(w) {
			name, ok := memberName(g, m)
			if !ok {
				return &FieldDiff{Field: strings.TrimPrefix(at+"."+m, "."), Want: plain(w[m]), Got: "no such member"}
			}
			if d := contains(w[m], g[name], at+"."+m); d != nil {
				return d
			}
		}
		return nil
	case []any:
		g, ok := got.([]any)
		if !ok {
			return diff()
		}
		return containsList(w, g, at)
	case string:
		if g, ok := got.(string); ok && strings.EqualFold(w, g) {
			return nil // ids and MAC addresses have no certain case (rule B6)
		}
		return diff()
	}
	if plain(want) != plain(got) {
		return diff()
	}
	return nil
}

// containsList looks for every wanted element behind the one before it.
func containsList(want, got []any, at string) *FieldDiff {
	next := 0
	for i, w := range want {
		var first *FieldDiff
		found := false
		for next < len(got) && !found {
			d := contains(w, got[next], fmt.Sprintf("%s[%d]", at, i))
			if d != nil && first == nil {
				first = d
			}
			found = d == nil
			next++
		}
		if found {
			continue
		}
		if first == nil {
			first = &FieldDiff{Field: strings.TrimPrefix(fmt.Sprintf("%s[%d]", at, i), "."), Want: plain(w), Got: "no further element"}
		}
		return first
	}
	return nil
}
