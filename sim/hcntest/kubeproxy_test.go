package hcntest_test

import (
	"testing"

	hcn "github.com/hnsim/hnsim/sim/hcntest"
)

// kubeProxyHCN is kube-proxy's interface to HNS (pkg/proxy/winkernel/
// hcnutils.go), with the import of hcn being this package.
type kubeProxyHCN interface {
	GetNetworkByName(networkName string) (*hcn.HostComputeNetwork, error)
	ListEndpointsOfNetwork(networkId string) ([]hcn.HostComputeEndpoint, error)
	GetEndpointByID(endpointId string) (*hcn.HostComputeEndpoint, error)
	ListEndpoints() ([]hcn.HostComputeEndpoint, error)
	GetEndpointByName(endpointName string) (*hcn.HostComputeEndpoint, error)
	ListLoadBalancers() ([]hcn.HostComputeLoadBalancer, error)
	GetLoadBalancerByID(loadBalancerId string) (*hcn.HostComputeLoadBalancer, error)
	CreateEndpoint(endpoint *hcn.HostComputeEndpoint, network *hcn.HostComputeNetwork) (*hcn.HostComputeEndpoint, error)
	CreateLoadBalancer(loadbalancer *hcn.HostComputeLoadBalancer) (*hcn.HostComputeLoadBalancer, error)
	CreateRemoteEndpoint(endpoint *hcn.HostComputeEndpoint, network *hcn.HostComputeNetwork) (*hcn.HostComputeEndpoint, error)
	DeleteLoadBalancer(loadbalancer *hcn.HostComputeLoadBalancer) error
	DeleteEndpoint(endpoint *hcn.HostComputeEndpoint) error
}

var _ kubeProxyHCN = (*hcn.Host)(nil)

// TestKubeProxysSequenceForAServiceWorks makes what kube-proxy makes for a
// service with two backends, replaces one of them and cleans up.
func TestKubeProxysSequenceForAServiceWorks(t *testing.T) {
	h1 := hcn.New(t, hcn.Config{Profile: "ws2022"}).Host("h1")
	if _, err := h1.CreateNetwork(&hcn.HostComputeNetwork{Name: "cbr0", Type: hcn.L2Bridge, SchemaVersion: hcn.V2SchemaVersion(),
		Ipams: []hcn.Ipam{{Subnets: []hcn.Subnet{{IpAddressPrefix: "10.244.1.0/24",
			Routes: []hcn.Route{{NextHop: "10.244.1.2", DestinationPrefix: "0.0.0.0/0"}}}}}}}); err != nil {
		t.Fatal(err)
	}
	var proxy kubeProxyHCN = h1
	net, err := proxy.GetNetworkByName("cbr0")
	if err != nil {
		t.Fatal(err)
	}
	backend := func(ip, mac string) string {
		t.Helper()
		e, err := proxy.CreateRemoteEndpoint(&hcn.HostComputeEndpoint{MacAddress: mac, IpConfigurations: []hcn.IpConfig{{IpAddress: ip}},
			SchemaVersion: hcn.V2SchemaVersion()}, net)
		if err != nil {
			t.Fatal(err)
		}
		return e.Id
	}
	service := &hcn.HostComputeLoadBalancer{SourceVIP: "10.244.1.9", FrontendVIPs: []string{"10.96.0.10"}, SchemaVersion: hcn.V2SchemaVersion(),
		HostComputeEndpoints: []string{backend("10.244.2.10", "00-15-5D-01-02-03"), backend("10.244.2.11", "00-15-5D-01-02-04")},
		PortMappings:         []hcn.LoadBalancerPortMapping{{Protocol: 6, InternalPort: 8080, ExternalPort: 80}}}
	lb, err := proxy.CreateLoadBalancer(service)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.CreateLoadBalancer(service); !hcn.IsPortAlreadyExistsError(err) {
		t.Errorf("a stale service is answered with %v", err)
	}
	// On this build kube-proxy cannot change a load balancer in place.
	if _, err := h1.UpdateLoadBalancer(lb, lb.Id); !hcn.IsNotImplemented(err) {
		t.Errorf("%v", err)
	}
	if err := proxy.DeleteLoadBalancer(lb); err != nil {
		t.Fatal(err)
	}
	all, err := proxy.ListEndpointsOfNetwork(net.Id)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d endpoints, %v", len(all), err)
	}
	for i := range all {
		if err := proxy.DeleteEndpoint(&all[i]); err != nil {
			t.Error(err)
		}
	}
	if lbs, err := proxy.ListLoadBalancers(); len(lbs) != 0 || err != nil {
		t.Errorf("%v, %v", lbs, err)
	}
}
