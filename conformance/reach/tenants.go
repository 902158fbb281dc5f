package reach

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/backends"
)

// balancerView is what the table needs of a tenant load balancer.
type balancerView struct {
	Properties struct {
		FrontendIPConfigurations []struct {
			ResourceID string
			Properties struct{ PrivateIPAddress string }
		}
		LoadBalancingRules, InboundNatRules []struct{ Properties frontView }
	}
}

// frontView is a port of virtual addresses. Numbers may be texts.
type frontView struct {
	FrontendIPConfigurations  []struct{ ResourceRef string }
	Protocol                  string
	FrontendPort, BackendPort any
}

// SDN notes the virtual addresses of tenant networks.
func (s *spy) SDN(ctx context.Context, op backends.SDNOp) (json.RawMessage, error) {
	ctl, ok := backends.ControllerOf(s.World)
	if !ok {
		return nil, &backends.UsageError{Msg: "the world has no network controller"}
	}
	doc, err := ctl.SDN(ctx, op)
	if err != nil {
		return doc, err
	}
	docs := map[string]json.RawMessage{}
	switch op.Verb {
	case "put":
		docs[op.Path] = op.Body
	case "load":
		_ = json.Unmarshal(op.Body, &docs) // the controller took it
	}
	for _, path := range slices.Sorted(maps.Keys(docs)) {
		segs := strings.Split(strings.Trim(path, "/"), "/")
		if n := len(segs); n >= 2 && strings.EqualFold(segs[n-2], "loadBalancers") {
			s.noteBalancer(docs[path])
		}
	}
	return doc, nil
}

// noteBalancer adds a column for every port of the virtual addresses.
func (s *spy) noteBalancer(body []byte) {
	var doc balancerView
	if json.Unmarshal(body, &doc) != nil {
		return
	}
	fronts := map[string]netip.Addr{}
	for _, f := range doc.Properties.FrontendIPConfigurations {
		if a, err := netip.ParseAddr(f.Properties.PrivateIPAddress); err == nil {
			fronts[strings.ToLower(f.ResourceID)] = a
		}
	}
	for _, r := range slices.Concat(doc.Properties.LoadBalancingRules, doc.Properties.InboundNatRules) {
		var vips []netip.Addr
		for _, f := range r.Properties.FrontendIPConfigurations {
			if a, ok := fronts[strings.ToLower(f.ResourceRef[strings.LastIndex(f.ResourceRef, "/")+1:])]; ok {
				vips = append(vips, a)
			}
		}
		protocols := []string{r.Properties.Protocol}
		if strings.EqualFold(r.Properties.Protocol, "all") {
			protocols = []string{"tcp", "udp"}
		}
		for _, proto := range protocols {
			if len(vips) > 0 {
				s.service(Service, "", vips, mappingView{proto, port(r.Properties.BackendPort), port(r.Properties.FrontendPort)})
			}
		}
	}
}

// port reads a number or the text of one; what is neither is no port.
func port(v any) uint16 {
	var n uint16
	_, _ = fmt.Sscan(fmt.Sprint(v), &n)
	return n
}
