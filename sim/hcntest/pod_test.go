package hcntest

import (
	"errors"
	"strings"
	"testing"
)

// overlayPods makes a pod on each of two hosts, joined by remote endpoints as
// kube-proxy and flannel make them.
func overlayPods(t *testing.T, policies ...EndpointPolicy) (l *Lab, a, b *Pod) {
	t.Helper()
	l = New(t, Config{})
	sides := []struct{ net, gateway, ip, pa, mac string }{
		{"10.244.1.0/24", "10.244.1.1", "10.244.1.10", "10.127.130.35", "0E-2A-0A-F4-01-0A"},
		{"10.244.2.0/24", "10.244.2.1", "10.244.2.20", "10.127.130.38", "0E-2A-0A-F4-02-14"},
	}
	var pods []*Pod
	for i, h := range l.Hosts() {
		mine, theirs := sides[i], sides[1-i]
		n, err := h.CreateNetwork(overlayNetwork(mine.net, mine.gateway, 4096))
		if err != nil {
			t.Fatal(err)
		}
		far := endpointAt(theirs.ip, EndpointPolicy{Type: NetworkProviderAddress, Settings: mustJSON(ProviderAddressEndpointPolicySetting{theirs.pa})})
		far.MacAddress = theirs.mac
		if _, err := h.CreateRemoteEndpoint(far, n); err != nil {
			t.Fatal(err)
		}
		near := endpointAt(mine.ip, policies...)
		near.MacAddress = mine.mac
		if near, err = h.CreateEndpoint(near, n); err != nil {
			t.Fatal(err)
		}
		pods = append(pods, h.Run(near.Id))
	}
	return l, pods[0], pods[1]
}

func TestPodsOfAnOverlayReachEachOtherThroughATunnel(t *testing.T) {
	l, a, b := overlayPods(t)
	b.Listen("tcp", 80)
	b.Listen("udp", 53)
	for _, proto := range []string{"tcp", "udp"} {
		port := map[string]string{"tcp": ":80", "udp": ":53"}[proto]
		x, err := a.Reach(proto, "10.244.2.20"+port)
		if err != nil || x.By != b || x.Seen.Addr() != a.Addr() {
			t.Errorf("%s: %+v, %v", proto, x, err)
		}
	}
	if err := a.Ping("10.244.2.20"); err != nil {
		t.Error(err)
	}
	tunnelled := 0
	for _, p := range l.Packets() {
		if strings.Contains(p.Text, "vxlan") && strings.Contains(p.Text, "10.127.130.35>10.127.130.38") {
			tunnelled++
		}
	}
	if tunnelled < 6 {
		t.Errorf("%d packets in the tunnel of %v", tunnelled, l.Packets())
	}
}

func TestWithoutItsAdapterANetworkIsDegraded(t *testing.T) {
	l, a, b := overlayPods(t)
	b.Listen("tcp", 80)
	h1 := l.Host("h1")
	nets, err := h1.ListNetworks()
	if err != nil {
		t.Fatal(err)
	}
	h1.SetAdapter(false)
	if _, err := h1.CreateEndpoint(endpointAt("10.244.1.11"), &nets[0]); !errors.Is(err, ErrorCode(0x803b0017)) {
		t.Errorf("%v", err)
	}
	if _, err := a.Reach("tcp", "10.244.2.20:80"); err == nil {
		t.Error("packets cross an adapter that is not there")
	}
	h1.SetAdapter(true)
	if _, err := a.Reach("tcp", "10.244.2.20:80"); err != nil {
		t.Error(err)
	}
}

func TestAnUnreachablePodIsReportedWithTheDrop(t *testing.T) {
	block := EndpointPolicy{Type: ACL, Settings: mustJSON(AclPolicySetting{Action: ActionTypeBlock, Direction: DirectionTypeIn, RuleType: RuleTypeSwitch, Priority: 200})}
	l, a, b := overlayPods(t, block)
	b.Listen("tcp", 80)
	_, err := a.Reach("tcp", "10.244.2.20:80")
	var u *UnreachableError
	if !errors.As(err, &u) || u.Reason != "timeout" || len(u.Drops) == 0 {
		t.Fatalf("%v", err)
	}
	if d := u.Drops[0]; !strings.HasPrefix(d.Where, "h2 ") || d.Reason != "VfpBlock" || !strings.Contains(err.Error(), d.Packet) {
		t.Errorf("%v", err)
	}
	if len(l.Drops()) < len(u.Drops) {
		t.Errorf("the lab has seen %d drops", len(l.Drops()))
	}
	for _, u := range []error{second(a.Reach("udp", "10.244.2.20:53")), a.Ping("10.244.2.20"), a.Ping("198.51.100.1")} {
		if !errors.As(u, new(*UnreachableError)) {
			t.Errorf("%v", u)
		}
	}
}

func TestAPortThatNobodyServesIsNamed(t *testing.T) {
	h, _ := natEndpoint(t)
	port := func(ip string, proto uint32, inside, outside uint16) *Pod {
		policy := EndpointPolicy{Type: PortMapping, Settings: mustJSON(PortMappingPolicySetting{Protocol: proto, InternalPort: inside, ExternalPort: outside})}
		n, err := h.GetNetworkByName("nat")
		if err != nil {
			t.Fatal(err)
		}
		e, err := h.CreateEndpoint(endpointAt(ip, policy), n)
		if err != nil {
			t.Fatal(err)
		}
		return h.Run(e.Id)
	}
	web := port("172.16.0.11", 6, 80, 8080)
	port("172.16.0.12", 17, 53, 5353)
	x := h.lab.External()
	for _, tt := range []struct{ proto, to, where, why string }{
		{"tcp", "10.127.130.35:8080", "last received by h1#", "nobody listens on tcp 80 there"},
		{"udp", "10.127.130.35:5353", "last received by h1#", "nobody listens on udp 53 there"},
		{"tcp", "10.127.130.35:8081", "last received by h1, Ethernet: ", "nobody listens on tcp 8081 there"},
	} {
		_, err := x.Reach(tt.proto, tt.to)
		if err == nil || !strings.Contains(err.Error(), tt.where) || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s %s: %v", tt.proto, tt.to, err)
		}
	}
	web.Listen("tcp", 80)
	if _, err := x.Reach("tcp", "10.127.130.35:8080"); err != nil {
		t.Error(err)
	}
}

// natEndpoint is a host with an endpoint on a NAT network.
func natEndpoint(t *testing.T) (*Host, *HostComputeEndpoint) {
	t.Helper()
	h := New(t, Config{}).Host("h1")
	n, err := h.CreateNetwork(natNetwork("nat", "172.16.0.0/24", "172.16.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := h.CreateEndpoint(endpointAt("172.16.0.10"), n)
	if err != nil {
		t.Fatal(err)
	}
	return h, e
}

func TestAPodWhoseEndpointIsGoneSaysSo(t *testing.T) {
	h, e := natEndpoint(t)
	p := h.Run(e.Id)
	if h.Run(e.Id) != p || h.Run(strings.ToUpper(e.Id)) != p {
		t.Error("running twice gives another pod")
	}
	h.lab.External().Listen("udp", 53)
	if x, err := p.Reach("udp", "203.0.113.80:53"); err != nil || x.By != h.lab.External() || x.Seen.Addr() != h.Self().Addr() {
		t.Errorf("%+v, %v", x, err)
	}
	if err := h.DeleteEndpoint(e); err != nil {
		t.Fatal(err)
	}
	if err := p.Ping("172.16.0.1"); err == nil || !strings.Contains(err.Error(), "the endpoint was deleted") {
		t.Error(err)
	}
}

func TestAnEndpointThatADriverAttachedIsUsedAsItIs(t *testing.T) {
	h, e := natEndpoint(t)
	if _, err := h.HNSCall("POST", "/endpoints/"+e.Id+"/attach", `{"ContainerId":"c1","SystemType":"Container","CompartmentId":7}`); err != nil {
		t.Fatal(err)
	}
	if err := h.Run(e.Id).Ping("172.16.0.1"); err != nil {
		t.Error(err)
	}
}

func TestAServiceIsAnsweredByEachOfItsBackends(t *testing.T) {
	l := New(t, Config{Profile: "ws2025"})
	h := l.Host("h1")
	bridge := natNetwork("cbr0", "10.127.130.0/24", "10.127.130.1")
	bridge.Type = L2Bridge
	n, err := h.CreateNetwork(bridge)
	if err != nil {
		t.Fatal(err)
	}
	var pods []*Pod
	var backends []HostComputeEndpoint
	for _, ip := range []string{"10.127.130.110", "10.127.130.111", "10.127.130.112"} {
		e, err := h.CreateEndpoint(endpointAt(ip), n)
		if err != nil {
			t.Fatal(err)
		}
		backends = append(backends, *e)
		pods = append(pods, h.Run(e.Id))
	}
	client, backends := pods[0], backends[1:]
	pods[1].Listen("tcp", 8080)
	pods[2].Listen("tcp", 8080)
	lb, err := h.AddLoadBalancer(backends, LoadBalancerFlagsNone, LoadBalancerPortMappingFlagsILB, "", []string{"10.96.0.10"}, 6, 8080, 80)
	if err != nil {
		t.Fatal(err)
	}
	answers := map[*Pod]int{}
	for range 20 {
		x, err := client.Reach("tcp", "10.96.0.10:80")
		if err != nil {
			t.Fatal(err)
		}
		answers[x.By]++
	}
	if answers[pods[1]] == 0 || answers[pods[2]] == 0 || answers[pods[1]]+answers[pods[2]] != 20 {
		t.Errorf("%d and %d answers", answers[pods[1]], answers[pods[2]])
	}
	if err := h.DeleteLoadBalancer(lb); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Reach("tcp", "10.96.0.10:80"); !errors.As(err, new(*UnreachableError)) {
		t.Errorf("a service that is gone answers: %v", err)
	}
}
