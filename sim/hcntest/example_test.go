package hcntest_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hnsim/hnsim/sim/hcntest"
)

// network is the part of HNS that the driver of these examples needs. In a
// driver it is declared with hcsshim's types:
//
//	GetNetworkByName(name string) (*hcn.HostComputeNetwork, error)
//
// and hcn is an alias of one package or the other: see the README.
type network interface {
	GetNetworkByName(name string) (*hcntest.HostComputeNetwork, error)
	CreateNetwork(n *hcntest.HostComputeNetwork) (*hcntest.HostComputeNetwork, error)
	CreateEndpoint(e *hcntest.HostComputeEndpoint, n *hcntest.HostComputeNetwork) (*hcntest.HostComputeEndpoint, error)
}

// addPod is the code under test: it makes the NAT network if it is not there,
// and an endpoint with a published port.
func addPod(hns network, ip string, publish uint16) (*hcntest.HostComputeEndpoint, error) {
	n, err := hns.GetNetworkByName("nat")
	if hcntest.IsNotFoundError(err) {
		n, err = hns.CreateNetwork(&hcntest.HostComputeNetwork{
			Name: "nat", Type: hcntest.NAT, SchemaVersion: hcntest.V2SchemaVersion(),
			Ipams: []hcntest.Ipam{{Type: "Static", Subnets: []hcntest.Subnet{{
				IpAddressPrefix: "172.16.0.0/24",
				Routes:          []hcntest.Route{{NextHop: "172.16.0.1", DestinationPrefix: "0.0.0.0/0"}},
			}}}},
		})
	}
	if err != nil {
		return nil, err
	}
	port := hcntest.PortMappingPolicySetting{Protocol: 6, InternalPort: 80, ExternalPort: publish}
	return hns.CreateEndpoint(&hcntest.HostComputeEndpoint{
		IpConfigurations: []hcntest.IpConfig{{IpAddress: ip}}, SchemaVersion: hcntest.V2SchemaVersion(),
		Policies: []hcntest.EndpointPolicy{{Type: hcntest.PortMapping, Settings: hcntest.Settings(port)}},
	}, n)
}

// A driver makes its objects, and packets show whether they do what they are
// for. In a test New gets the *testing.T.
func Example() {
	lab := hcntest.New(hcntest.Panic, hcntest.Config{})
	h1 := lab.Host("h1")
	ep, err := addPod(h1, "172.16.0.10", 8080)
	if err != nil {
		fmt.Println(err)
		return
	}
	web := h1.Run(ep.Id) // what the container runtime does
	web.Listen("tcp", 80)

	_, err = lab.External().Reach("tcp", "10.127.130.35:8080")
	fmt.Println("the published port answers:", err == nil)

	lab.External().Listen("udp", 53)
	x, err := web.Reach("udp", "203.0.113.80:53")
	fmt.Println("outside the container is seen as", x.Seen.Addr(), err)

	_, err = lab.External().Reach("tcp", "10.127.130.35:8081")
	fmt.Println(err)
	// Output:
	// the published port answers: true
	// outside the container is seen as 10.127.130.35 <nil>
	// 203.0.113.80 does not reach tcp 10.127.130.35:8081: timeout
	//   last received by h1, Ethernet: eth(02-72-6F-75-00-00>00-15-5D-7F-82-23) ip(203.0.113.80>10.127.130.35 ttl127 DF) tcp(49153>8081 SYN) len 0
	//     nobody listens on tcp 8081 there
}

// HNS refuses what Windows refuses, with the same codes and texts.
func Example_errors() {
	h1 := hcntest.New(hcntest.Panic, hcntest.Config{Profile: "ws2022"}).Host("h1")
	if _, err := addPod(h1, "172.16.0.10", 8080); err != nil {
		fmt.Println(err)
	}
	_, err := addPod(h1, "172.16.0.11", 8080)
	fmt.Println(hcntest.IsPortAlreadyExistsError(err))
	var refused *hcntest.HcnError
	if errors.As(err, &refused) {
		fmt.Printf("%s 0x%x\n", refused.Function, uint32(refused.Code))
	}
	_, err = addPod(h1, "172.17.0.11", 8081)
	fmt.Println(errors.Is(err, hcntest.ErrorCode(0x803b001e)))
	// Output:
	// true
	// hcnCreateEndpoint 0x803b0013
	// true
}

// Faults show what a driver does when HNS does not answer as it should.
func ExampleHost_Fail() {
	lab := hcntest.New(hcntest.Panic, hcntest.Config{})
	h1 := lab.Host("h1")
	h1.Fail(hcntest.Fault{Method: "CreateNetwork", Code: hcntest.RPC_S_UNKNOWN_IF})
	_, err := addPod(h1, "172.16.0.10", 8080)
	fmt.Println("HNS is not running:", errors.Is(err, hcntest.RPC_S_UNKNOWN_IF))

	// The endpoint is made, but the driver does not hear of it.
	h1.Fail(hcntest.Fault{Method: "CreateEndpoint", Code: 0x800706BA, After: true})
	_, err = addPod(h1, "172.16.0.10", 8080)
	fmt.Println("the answer was lost:", err != nil)
	_, err = addPod(h1, "172.16.0.10", 8080)
	fmt.Println("the retry meets its own work:", errors.Is(err, hcntest.ErrorCode(0x803b002f)))

	for _, c := range lab.Calls() {
		outcome := "ok"
		if c.Err != nil {
			outcome, _, _ = strings.Cut(c.Err.Error(), ".")
		}
		fmt.Printf("%s: %s\n", c.Method, outcome)
	}
	// Output:
	// HNS is not running: true
	// the answer was lost: true
	// the retry meets its own work: true
	// GetNetworkByName: Network name "nat" not found
	// CreateNetwork: hcnCreateNetwork failed in Win32: The interface is unknown
	// GetNetworkByName: Network name "nat" not found
	// CreateNetwork: ok
	// CreateEndpoint: hcnCreateEndpoint failed in Win32: The RPC server is unavailable
	// GetNetworkByName: ok
	// CreateEndpoint: hcnCreateEndpoint failed in Win32: An address provided is invalid or reserved
}
