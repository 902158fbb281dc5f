package hcn

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// foreignMembers are members that real hosts show, or clients send, for which
// there is no field. Their names are right though they resemble others.
var foreignMembers = []string{
	"ActivityId", "AllocationOrder", "Containers", "CompartmentGuid", "CreateProcessingStartTime", "CurrentEndpointCount",
	"DNSServerCompartment", "DNSDomain", "Description", "EncapOverhead", "Extensions", "ExternalInterfaceAddress", "ExternalPortReserved", "GatewayAddressV6",
	"GatewayMac", "Health", "Id", "IPv6", "InstanceId", "InternalPort", "IsApplied", "IsolateSwitch", "Layer", "LocalPort",
	"MaxConcurrentEndpoints", "NatName", "Namespace", "ObjectType", "Policies", "Protocol", "RemotePort", "Routes", "Resources", "ServiceName",
	"SwitchName", "TotalEndpoints", "Type", "VirtualNetworkName",
}

// Misspelt lists the members of a document, those of policies' settings
// included, that have no meaning and resemble one that has: "Protocls". The
// service takes them and ignores them (rule B5), so nothing happens and nobody
// is told. kind is one that ValidateDocument knows. The errors have no code. A
// document that cannot be read has none: ValidateDocument tells why.
func Misspelt(kind string, doc []byte) []*Error {
	root, d, err := parseObject(doc)
	if err != nil {
		return nil
	}
	target := spellingTarget(kind, root)
	if target == nil {
		return nil
	}
	v := reflect.ValueOf(target).Elem()
	if d.decode(root, v, "") != nil {
		return nil
	}
	s := &speller{root: root}
	if m, ok := target.(*ModifyRequest); ok {
		s.modify(m)
	} else {
		s.walk(v, "")
	}
	for _, e := range s.errs {
		if line, column, ok := Locate(doc, e.Path); ok {
			e.Line, e.Column = line, column
		}
	}
	return s.errs
}

// spellingTarget is the struct whose names count for a document.
func spellingTarget(kind string, root *node) any {
	v1 := func(marks []string) bool { return shapeOfDocument(root, marks) == V1 }
	switch kind {
	case "network":
		if v1(v1NetworkMarks) {
			return new(V1Network)
		}
		return new(Network)
	case "endpoint":
		if v1(v1EndpointMarks) {
			return new(V1Endpoint)
		}
		return new(Endpoint)
	case "namespace":
		if v1(v1NamespaceMarks) {
			return new(V1Namespace)
		}
		return new(Namespace)
	case "loadbalancer":
		return new(LoadBalancer)
	case "route":
		return new(SDNRoute)
	case "modify":
		return new(ModifyRequest)
	}
	return nil
}

type speller struct {
	root *node
	errs []*Error
}

// unknown reports the extra members that resemble one of names.
func (s *speller) unknown(extras Extras, names []string, path string) {
	for _, m := range extras {
		if known(m.Name, foreignMembers) || known(m.Name, names) {
			continue
		}
		if near := nearest(m.Name, names); near != "" {
			s.errs = append(s.errs, &Error{Path: joinPath(path, m.Name), Found: strconv.Quote(clip(m.Name)), Expected: strconv.Quote(near),
				Detail: fmt.Sprintf("no such member: HNS ignores it (did you mean %q?)", near)})
		}
	}
}

func known(name string, list []string) bool {
	for _, n := range list {
		if equalFold(n, name) {
			return true
		}
	}
	return false
}

// nearest is the name that differs from got by a slip of the pen: one letter in
// three at most, and two in all. "" if there is none.
func nearest(got string, names []string) string {
	best, limit := "", min(2, len(got)/3)
	for _, n := range names {
		if d := editDistance(strings.ToLower(got), strings.ToLower(n)); d <= limit {
			best, limit = n, d-1 // the next one must be nearer
		}
	}
	return best
}

func (s *speller) walk(v reflect.Value, path string) {
	switch {
	case v.Type() == policyType:
		s.policy(v.Interface().(Policy), path)
	case v.Type() == extrasType:
	case v.Kind() == reflect.Slice && (v.Type().Elem().Kind() == reflect.Struct):
		for i := range v.Len() {
			s.walk(v.Index(i), elem(path, i))
		}
	case v.Kind() == reflect.Struct:
		info := infoOf(v.Type())
		if info.extras != nil {
			s.unknown(v.FieldByIndex(info.extras).Interface().(Extras), info.allNames(), path)
		}
		for _, f := range info.fields {
			s.walk(v.FieldByIndex(f.index), joinPath(path, f.name))
		}
	}
}

// allNames are the names of the fields and their other spellings.
func (i *structInfo) allNames() []string {
	names := i.names()
	for _, f := range i.fields {
		if f.alias != "" {
			names = append(names, f.alias)
		}
	}
	return names
}

// policy checks the settings of a policy in the form in which they stand in
// the document.
func (s *speller) policy(p Policy, path string) {
	spec := findSpec(p.Type)
	n := s.root
	for _, step := range pathSteps(path) {
		if n = step.of(n); n == nil {
			return
		}
	}
	if spec == nil || p.Settings == nil {
		return
	}
	out := spec.settings()
	if _, err := settingsInto(p.Settings, out); err != nil {
		return
	}
	v := reflect.ValueOf(out).Elem()
	if n.get("Settings") != nil {
		s.unknown(p.Extras, []string{"Type", "Settings"}, path)
		s.walk(v, joinPath(path, "Settings"))
		return
	}
	info := infoOf(v.Type())
	names := info.allNames()
	if form := v1FormByType(p.Type); form != nil {
		for i, name := range names {
			for _, r := range form.renames {
				if equalFold(r[1], name) {
					names[i] = r[0]
				}
			}
		}
	}
	s.unknown(v.FieldByIndex(info.extras).Interface().(Extras), append(names, "Settings"), path)
}

// modify checks the request and what it brings.
func (s *speller) modify(m *ModifyRequest) {
	s.unknown(m.Extras, infoOf(reflect.TypeFor[ModifyRequest]()).names(), "")
	for _, settings := range []any{new(NetworkPolicyRequest), new(EndpointPolicyRequest)} {
		n, d, err := parseObject(m.Settings)
		if err != nil || n.get("Policies") == nil {
			return
		}
		v := reflect.ValueOf(settings).Elem()
		if d.decode(n, v, "") == nil {
			s.walk(v, "Settings")
			return
		}
	}
}
