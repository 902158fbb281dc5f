package hcn

import (
	"errors"
	"strconv"
	"strings"
)

// Locate finds the line and column of a path in a document, or of the deepest
// part of the path that the document has. It serves messages: validation works
// on decoded documents and knows paths only.
func Locate(doc []byte, path string) (line, column int, ok bool) {
	n, err := parse(doc)
	if err != nil {
		return 0, 0, false
	}
	for _, step := range pathSteps(path) {
		next := step.of(n)
		if next == nil {
			break
		}
		n = next
	}
	line, column = position(doc, n.off)
	return line, column, true
}

// pathStep is a member name, or an index when the name is empty.
type pathStep struct {
	name  string
	index int
}

func pathSteps(path string) []pathStep {
	var out []pathStep
	for path != "" {
		if path[0] == '[' {
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return out
			}
			i, err := strconv.Atoi(path[1:end])
			if err != nil {
				return out
			}
			out = append(out, pathStep{index: i})
			path = strings.TrimPrefix(path[end+1:], ".")
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		out = append(out, pathStep{name: path[:end]})
		path = strings.TrimPrefix(path[end:], ".")
	}
	return out
}

func (s pathStep) of(n *node) *node {
	if s.name != "" {
		return n.get(s.name)
	}
	if s.index >= 0 && s.index < len(n.elems) {
		return n.elems[s.index]
	}
	return nil
}

// v1Paths maps the paths of the v2 shape to those of the v1 shape, longest
// first where one is the beginning of another.
var v1Paths = []struct{ v2, v1 string }{
	{"IpAddressPrefix", "AddressPrefix"},
	{"MacPool.Ranges", "MacPools"},
	{"Dns.ServerList", "DNSServerList"},
	{"IpConfigurations[0].IpAddress", "IPAddress"},
	{"IpConfigurations[0].PrefixLength", "PrefixLength"},
	{"IpConfigurations[0].IpSubnetId", "IPSubnetId"},
	{"IpConfigurations[1].IpAddress", "IPv6Address"},
	{"IpConfigurations[1].PrefixLength", "IPv6PrefixLength"},
	{"Routes[0].NextHop", "GatewayAddress"},
	{"HostComputeNetwork", "VirtualNetwork"},
	{"HostComputeNamespace", "Namespace.ID"},
}

// InShape rewrites the error's path for the shape of the document that it is
// about, and adds line and column when doc is not nil. Errors without a path
// and errors of other types come back as they are.
func InShape(err error, shape Shape, doc []byte) error {
	var e *Error
	if !errors.As(err, &e) || e.Path == "" {
		return err
	}
	c := *e
	if shape == V1 {
		c.Path = strings.TrimPrefix(c.Path, "Ipams[0].")
		for _, m := range v1Paths {
			c.Path = strings.Replace(c.Path, m.v2, m.v1, 1)
		}
		if strings.HasPrefix(c.Path, "Policies[") || strings.Contains(c.Path, ".Policies[") {
			c.Path = strings.Replace(c.Path, ".Settings", "", 1)
		}
		if i := strings.IndexByte(c.Path, '['); i > 0 && c.Path[:i] == "DNSServerList" {
			c.Path = "DNSServerList"
		}
	}
	if strings.HasPrefix(c.Path, "Routes") && !hasMember(doc, "Routes") && hasMember(doc, "Setting") {
		c.Path = "Setting" + strings.TrimPrefix(c.Path, "Routes") // hcsshim's name of the list (B.6)
	}
	if c.Line == 0 && doc != nil {
		if line, col, ok := Locate(doc, c.Path); ok {
			c.Line, c.Column = line, col
		}
	}
	return &c
}

func hasMember(doc []byte, name string) bool {
	n, err := parse(doc)
	return err == nil && n.get(name) != nil
}

// ValidateDocument decodes and checks a document of a kind: "network",
// "endpoint", "namespace", "loadbalancer", "route", "policylist", "query" or
// "modify". It returns every problem found, each with path, line and column:
// the tool behind "hnsim validate".
func ValidateDocument(kind string, doc []byte, p *Profile) []*Error {
	var errs []*Error
	shape := V2
	decodeFailed := func(err error) []*Error { return []*Error{AsError(err)} }
	switch kind {
	case "network":
		n, s, err := DecodeNetworkShape(doc)
		if err != nil {
			return decodeFailed(err)
		}
		errs, shape = CheckNetwork(n, p), s
	case "endpoint":
		e, s, err := DecodeEndpointShape(doc)
		if err != nil {
			return decodeFailed(err)
		}
		errs, shape = CheckEndpoint(e, "", p), s
	case "namespace":
		n, err := DecodeNamespace(doc)
		if err != nil {
			return decodeFailed(err)
		}
		errs = CheckNamespace(n, p)
	case "loadbalancer":
		l, err := DecodeLoadBalancer(doc)
		if err != nil {
			return decodeFailed(err)
		}
		errs = CheckLoadBalancer(l, p)
	case "route":
		r, err := DecodeSDNRoute(doc)
		if err != nil {
			return decodeFailed(err)
		}
		errs = CheckSDNRoute(r, p)
	default:
		errs = validateRequest(kind, doc, p)
	}
	for i, e := range errs {
		errs[i] = AsError(InShape(e, shape, doc))
	}
	return errs
}

func validateRequest(kind string, doc []byte, p *Profile) []*Error {
	var err error
	switch kind {
	case "policylist":
		var l *LoadBalancer
		var r *SDNRoute
		if l, r, err = DecodePolicyList(doc); l != nil {
			return CheckLoadBalancer(l, p)
		} else if r != nil {
			return CheckSDNRoute(r, p)
		}
	case "query":
		_, err = ParseQuery(doc)
	case "modify":
		_, err = ParseModifyRequest(doc)
	default:
		err = Errorf(ErrInvalidParameter, "no kind of document %q", kind)
	}
	if err == nil {
		return nil
	}
	return []*Error{AsError(err)}
}

// DocumentKind guesses the kind of a document from its members, for tools
// that are handed a file without more: "" when nothing tells.
func DocumentKind(doc []byte) string {
	n, err := parse(doc)
	if err != nil {
		return ""
	}
	has := func(names ...string) bool {
		for _, name := range names {
			if n.get(name) != nil {
				return true
			}
		}
		return false
	}
	switch {
	case has("RequestType", "ResourceType"):
		return "modify"
	case has("Filter"):
		return "query"
	case has("References"):
		return "policylist"
	case has("FrontendVIPs", "PortMappings", "SourceVIP"):
		return "loadbalancer"
	case has("HostComputeEndpoints"):
		return "route"
	case has("HostComputeNetwork", "IpConfigurations", "VirtualNetwork", "IPAddress", "IsRemoteEndpoint", "MacAddress"):
		return "endpoint"
	case has("Resources", "ResourceList", "NamespaceId", "CompartmentId", "IsDefault"):
		return "namespace"
	case has("Ipams", "MacPool", "Subnets", "MacPools", "Type"):
		return "network"
	}
	return ""
}
