package hns

import (
	"syscall"
	_ "unsafe" // for go:linkname

	"github.com/Microsoft/go-winio/pkg/guid"
	hcsshim "github.com/Microsoft/hcsshim/hcn"
)

// hcsshim's call layer below its types. Its exported functions take and return
// Go structs, which lose the members that they do not know; the functions here
// are the same ones one step further down, where documents are still text. They
// are bound by name to the version in go.mod: one that lacks a name does not
// link, and TestCallLayer holds the signatures.

//go:linkname createNetwork github.com/Microsoft/hcsshim/hcn.createNetwork
func createNetwork(settings string) (*hcsshim.HostComputeNetwork, error)

//go:linkname modifyNetwork github.com/Microsoft/hcsshim/hcn.modifyNetwork
func modifyNetwork(id, settings string) (*hcsshim.HostComputeNetwork, error)

//go:linkname deleteNetwork github.com/Microsoft/hcsshim/hcn.deleteNetwork
func deleteNetwork(id string) error

//go:linkname createEndpoint github.com/Microsoft/hcsshim/hcn.createEndpoint
func createEndpoint(network, settings string) (*hcsshim.HostComputeEndpoint, error)

//go:linkname modifyEndpoint github.com/Microsoft/hcsshim/hcn.modifyEndpoint
func modifyEndpoint(id, settings string) (*hcsshim.HostComputeEndpoint, error)

//go:linkname deleteEndpoint github.com/Microsoft/hcsshim/hcn.deleteEndpoint
func deleteEndpoint(id string) error

//go:linkname createNamespace github.com/Microsoft/hcsshim/hcn.createNamespace
func createNamespace(settings string) (*hcsshim.HostComputeNamespace, error)

//go:linkname modifyNamespace github.com/Microsoft/hcsshim/hcn.modifyNamespace
func modifyNamespace(id, settings string) (*hcsshim.HostComputeNamespace, error)

//go:linkname deleteNamespace github.com/Microsoft/hcsshim/hcn.deleteNamespace
func deleteNamespace(id string) error

//go:linkname createLoadBalancer github.com/Microsoft/hcsshim/hcn.createLoadBalancer
func createLoadBalancer(settings string) (*hcsshim.HostComputeLoadBalancer, error)

//go:linkname updateLoadBalancer github.com/Microsoft/hcsshim/hcn.updateLoadBalancer
func updateLoadBalancer(id, settings string) (*hcsshim.HostComputeLoadBalancer, error)

//go:linkname deleteLoadBalancer github.com/Microsoft/hcsshim/hcn.deleteLoadBalancer
func deleteLoadBalancer(id string) error

//go:linkname createRoute github.com/Microsoft/hcsshim/hcn.createRoute
func createRoute(settings string) (*hcsshim.HostComputeRoute, error)

//go:linkname deleteRoute github.com/Microsoft/hcsshim/hcn.deleteRoute
func deleteRoute(id string) error

// The system calls, for what the functions above cannot do: ids that the caller
// chooses, and documents as HNS returns them.

//go:linkname hcnEnumerateNetworks github.com/Microsoft/hcsshim/hcn.hcnEnumerateNetworks
func hcnEnumerateNetworks(query string, out, result **uint16) error

//go:linkname hcnCreateNetwork github.com/Microsoft/hcsshim/hcn.hcnCreateNetwork
func hcnCreateNetwork(id *guid.GUID, settings string, h *syscall.Handle, result **uint16) error

//go:linkname hcnOpenNetwork github.com/Microsoft/hcsshim/hcn.hcnOpenNetwork
func hcnOpenNetwork(id *guid.GUID, h *syscall.Handle, result **uint16) error

//go:linkname hcnQueryNetworkProperties github.com/Microsoft/hcsshim/hcn.hcnQueryNetworkProperties
func hcnQueryNetworkProperties(h syscall.Handle, query string, out, result **uint16) error

//go:linkname hcnCloseNetwork github.com/Microsoft/hcsshim/hcn.hcnCloseNetwork
func hcnCloseNetwork(h syscall.Handle) error

//go:linkname hcnEnumerateEndpoints github.com/Microsoft/hcsshim/hcn.hcnEnumerateEndpoints
func hcnEnumerateEndpoints(query string, out, result **uint16) error

//go:linkname hcnCreateEndpoint github.com/Microsoft/hcsshim/hcn.hcnCreateEndpoint
func hcnCreateEndpoint(network syscall.Handle, id *guid.GUID, settings string, h *syscall.Handle, result **uint16) error

//go:linkname hcnOpenEndpoint github.com/Microsoft/hcsshim/hcn.hcnOpenEndpoint
func hcnOpenEndpoint(id *guid.GUID, h *syscall.Handle, result **uint16) error

//go:linkname hcnQueryEndpointProperties github.com/Microsoft/hcsshim/hcn.hcnQueryEndpointProperties
func hcnQueryEndpointProperties(h syscall.Handle, query string, out, result **uint16) error

//go:linkname hcnCloseEndpoint github.com/Microsoft/hcsshim/hcn.hcnCloseEndpoint
func hcnCloseEndpoint(h syscall.Handle) error

//go:linkname hcnEnumerateNamespaces github.com/Microsoft/hcsshim/hcn.hcnEnumerateNamespaces
func hcnEnumerateNamespaces(query string, out, result **uint16) error

//go:linkname hcnCreateNamespace github.com/Microsoft/hcsshim/hcn.hcnCreateNamespace
func hcnCreateNamespace(id *guid.GUID, settings string, h *syscall.Handle, result **uint16) error

//go:linkname hcnOpenNamespace github.com/Microsoft/hcsshim/hcn.hcnOpenNamespace
func hcnOpenNamespace(id *guid.GUID, h *syscall.Handle, result **uint16) error

//go:linkname hcnQueryNamespaceProperties github.com/Microsoft/hcsshim/hcn.hcnQueryNamespaceProperties
func hcnQueryNamespaceProperties(h syscall.Handle, query string, out, result **uint16) error

//go:linkname hcnCloseNamespace github.com/Microsoft/hcsshim/hcn.hcnCloseNamespace
func hcnCloseNamespace(h syscall.Handle) error

//go:linkname hcnEnumerateLoadBalancers github.com/Microsoft/hcsshim/hcn.hcnEnumerateLoadBalancers
func hcnEnumerateLoadBalancers(query string, out, result **uint16) error

//go:linkname hcnCreateLoadBalancer github.com/Microsoft/hcsshim/hcn.hcnCreateLoadBalancer
func hcnCreateLoadBalancer(id *guid.GUID, settings string, h *syscall.Handle, result **uint16) error

//go:linkname hcnOpenLoadBalancer github.com/Microsoft/hcsshim/hcn.hcnOpenLoadBalancer
func hcnOpenLoadBalancer(id *guid.GUID, h *syscall.Handle, result **uint16) error

//go:linkname hcnQueryLoadBalancerProperties github.com/Microsoft/hcsshim/hcn.hcnQueryLoadBalancerProperties
func hcnQueryLoadBalancerProperties(h syscall.Handle, query string, out, result **uint16) error

//go:linkname hcnCloseLoadBalancer github.com/Microsoft/hcsshim/hcn.hcnCloseLoadBalancer
func hcnCloseLoadBalancer(h syscall.Handle) error

//go:linkname hcnEnumerateRoutes github.com/Microsoft/hcsshim/hcn.hcnEnumerateRoutes
func hcnEnumerateRoutes(query string, out, result **uint16) error

//go:linkname hcnCreateRoute github.com/Microsoft/hcsshim/hcn.hcnCreateRoute
func hcnCreateRoute(id *guid.GUID, settings string, h *syscall.Handle, result **uint16) error

//go:linkname hcnOpenRoute github.com/Microsoft/hcsshim/hcn.hcnOpenRoute
func hcnOpenRoute(id *guid.GUID, h *syscall.Handle, result **uint16) error

//go:linkname hcnModifyRoute github.com/Microsoft/hcsshim/hcn.hcnModifyRoute
func hcnModifyRoute(h syscall.Handle, settings string, result **uint16) error

//go:linkname hcnQueryRouteProperties github.com/Microsoft/hcsshim/hcn.hcnQueryRouteProperties
func hcnQueryRouteProperties(h syscall.Handle, query string, out, result **uint16) error

//go:linkname hcnCloseRoute github.com/Microsoft/hcsshim/hcn.hcnCloseRoute
func hcnCloseRoute(h syscall.Handle) error

// hnsCall is the v1 entry point. hcsshim's wrappers drop the envelope of a
// refusal, in which the code and the reason stand.
//
//go:linkname hnsCall github.com/Microsoft/hcsshim/hcn._hnsCall
func hnsCall(method, path, object string, response **uint16) error
