package hns

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// producers has, for every code of section D.1 that the service answers, a
// request that gets it.
var producers = []condition{
	{"D.1-01", "", nil, func(h *host) error { return h.Open(NetworkKind, unknownID) }, hcn.ErrNetworkNotFound},
	{"D.1-02", "", nil, func(h *host) error { return h.Open(EndpointKind, unknownID) }, hcn.ErrEndpointNotFound},
	{"D.1-03", "", nil, createOnly(NetworkKind, `{"Type":"L2Bridge","Policies":[{"Type":"LayerConstraint","Settings":{"LayerId":"`+unknownID+`"}}]}`), hcn.ErrLayerNotFound},
	{"D.1-05", "", nil, endpointOn(natDoc, withAddress("fd00::5")), hcn.ErrSubnetNotFound},
	{"D.1-06", "", nil, createOnly(NetworkKind, `{"Type":"L2Bridge","Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"eth9"}}]}`), hcn.ErrAdapterNotFound},
	{"D.1-07", "", []string{"lbUnattached=refuse"}, func(h *host) error {
		_, err := h.CreateLoadBalancer("", []byte(balancerDoc("10.96.0.1", h.endpoint(h.network(overlayDoc), plainEndpoint))))
		return err
	}, hcn.ErrPortNotFound},
	{"D.1-08", "", nil, func(h *host) error {
		return h.modify(EndpointKind, h.endpoint(h.network(natDoc), plainEndpoint), "Policy", "Remove", `{"Policies":[`+qos+`]}`)
	}, hcn.ErrPolicyNotFound},
	{"D.1-0a", "", nil, createOnly(NetworkKind, `{"Ipams":[{"Subnets":[{"IpAddressPrefix":"10.0.0.5/24"}]}]}`), hcn.ErrInvalidNetwork},
	{"D.1-0b", "", nil, createOnly(NetworkKind, `{"Type":"Bogus"}`), hcn.ErrInvalidNetworkType},
	{"D.1-0c", "", nil, endpointOn(overlayDoc, `{"Flags":1,"IpConfigurations":[{"IpAddress":"10.244.2.7"}]}`), hcn.ErrInvalidEndpoint},
	{"D.1-0d", "", nil, endpointOn(natDoc, withPolicies("a", `{"Type":"ACL","Settings":{"Action":"Allow","Direction":"In","RemoteAddresses":"Any"}}`)), hcn.ErrInvalidPolicy},
	{"D.1-0e", "", nil, endpointOn(natDoc, withPolicies("a", `{"Type":"Wormhole","Settings":{}}`)), hcn.ErrInvalidPolicyType},
	{"D.1-0f", "", nil, func(h *host) error { return h.join(h.namespace(hcn.HostNamespace), h.remote()) }, hcn.ErrInvalidRemoteEndpointOp},
	{"D.1-10", "", nil, createOnly(NetworkKind, natDoc, natDoc), hcn.ErrNetworkAlreadyExists},
	{"D.1-12", "", nil, func(h *host) error {
		n := h.network(bridgeDoc)
		h.must(h.modify(NetworkKind, n, "Policy", "Add", ipSet))
		return h.modify(NetworkKind, n, "Policy", "Add", ipSet)
	}, hcn.ErrPolicyAlreadyExists},
	{"D.1-13", "", nil, endpointOn(natDoc, withPolicies("a", portMapping(6, 80, 8080)), withPolicies("b", portMapping(6, 80, 8080))), hcn.ErrPortAlreadyExists},
	{"D.1-14", "", nil, func(h *host) error {
		ep, ns := h.endpoint(h.network(natDoc), plainEndpoint), h.namespace(hcn.HostNamespace)
		h.must(h.join(ns, ep))
		return h.join(ns, ep)
	}, hcn.ErrEndpointAlreadyAttached},
	{"D.1-15", "", nil, func(h *host) error { return h.modify(NetworkKind, h.network(natDoc), "DNS", "Remove", `{}`) }, hcn.ErrRequestUnsupported},
	{"D.1-16", "", nil, endpointOn(transparentDoc, withPolicies("a", portMapping(6, 80, 8080))), hcn.ErrMappingNotSupported},
	{"D.1-17", "", nil, func(h *host) error {
		n := h.network(bridgeDoc)
		h.must(h.SetAdapterPresent("Ethernet", false))
		_, err := h.CreateEndpoint(n, "", []byte(plainEndpoint))
		return err
	}, hcn.ErrDegradedOperation},
	{"D.1-18", "", nil, func(h *host) error {
		n := h.network(bridgeDoc)
		h.network(overlayDoc)
		return h.modify(NetworkKind, n, "Extension", "Update", `{"Id":"`+vfpExtension+`","IsEnabled":false}`)
	}, hcn.ErrSharedSwitchModification},
	{"D.1-19", "", nil, createOnly(NetworkKind, `{"ID":"net-1"}`), hcn.ErrGUIDConversionFailure},
	{"D.1-1b", "", nil, createOnly(NetworkKind, `{"Name":`), hcn.ErrInvalidJSON},
	{"D.1-1c", "", nil, createOnly(LoadBalancerKind, `{"PortMappings":[{"Protocol":6,"InternalPort":1,"ExternalPort":2}]}`), hcn.ErrInvalidJSONReference},
	{"D.1-1e", "", nil, endpointOn(natDoc, withAddress("10.9.9.9")), hcn.ErrInvalidIP},
	{"D.1-1f", "", nil, createOnly(NetworkKind, `{"Type":"L2Bridge","Policies":[{"Type":"VSwitchExtension","Settings":{"ExtensionID":"`+unknownID+`"}}]}`), hcn.ErrSwitchExtensionNotFound},
	{"D.1-20", "", nil, func(h *host) error { h.BeginStop(); _, err := h.Enumerate(NetworkKind, nil); return err }, hcn.ErrManagerStopped},
	{"D.1-2a", "", nil, func(h *host) error {
		h.Service.cfg.ICSDisabled = true
		return createOnly(NetworkKind, `{"Type":"ICS"}`)(h)
	}, hcn.ErrICSDisabled},
	{"D.1-2b", "", nil, func(h *host) error {
		ep := h.endpoint(h.network(natDoc), plainEndpoint)
		h.must(h.join(h.namespace(hcn.HostNamespace), ep))
		return h.join(h.namespace(hcn.HostNamespace), ep)
	}, hcn.ErrEndpointNamespaceExists},
	{"D.1-2c", "", nil, func(h *host) error {
		n := h.network(bridgeDoc)
		h.endpoint(n, plainEndpoint)
		return h.modify(NetworkKind, n, "Subnet", "Remove", `{"Subnets":[{"IpAddressPrefix":"10.244.1.0/24"}]}`)
	}, hcn.ErrEntityHasReferences},
	{"D.1-2d", "", nil, endpointOn(natDoc, withPolicies("a", portMapping(6, 0, 8080))), hcn.ErrInvalidInternalPort},
	{"D.1-2e", "", nil, func(h *host) error {
		ns := h.namespace(hcn.HostNamespace)
		h.must(h.join(ns, h.endpoint(h.network(bridgeDoc), plainEndpoint)))
		h.must(h.SetAdapterPresent("Ethernet", false))
		return h.StartContainer(ns, "c1", "")
	}, hcn.ErrNamespaceAttachFailed},
	{"D.1-2f", "", nil, endpointOn(bridgeDoc, withAddress("10.244.1.1")), hcn.ErrAddrInvalidOrReserved},
	{"D.1-30", hcn.WS2019, nil, endpointOn(bridgeDoc, `{"IpConfigurations":[{"IpAddress":"10.244.1.7","PrefixLength":32}]}`), hcn.ErrInvalidPrefix},
	{"D.1-32", "", nil, func(h *host) error {
		return h.modify(NetworkKind, h.network(bridgeDoc), "Subnet", "Add", `{"Subnets":[{"IpAddressPrefix":"10.244.1.0/25"}]}`)
	}, hcn.ErrInvalidSubnet},
	{"D.1-33", "", nil, createOnly(NetworkKind, `{"Type":"L2Bridge","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.244.1.0/24","IpSubnets":[{"IpAddressPrefix":"10.244.2.0/25"}]}]}]}`), hcn.ErrInvalidIPSubnet},
	{"D.1-34", "", []string{"detachUnattached=error"}, func(h *host) error {
		return h.DetachEndpoint(h.endpoint(h.network(natDoc), plainEndpoint), AttachRequest{SystemType: ToHost})
	}, hcn.ErrEndpointNotAttached},
	{"D.1-36", "", nil, endpointOn(natDoc, withPolicies("a", `{"Type":"InterfaceParameters","Settings":{"Mtu":1400}}`, `{"Type":"InterfaceParameters","Settings":{"Mtu":1300}}`)), hcn.ErrInterfaceParametersApplied},
	{"D.1-37", "", nil, createOnly(NetworkKind, `{"Type":"L2Bridge","Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"Ethernet 2"}}]}`), hcn.ErrVFPNotAllowed},

	{"D.1 E_NOTIMPL", "", nil, func(h *host) error {
		ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
		return h.ModifyLoadBalancer(h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep)), []byte(balancerDoc("10.96.0.1", ep)))
	}, hcn.ErrNotImplemented},
	{"D.1 0x20", "", nil, func(h *host) error {
		h.busy[8080] = true
		return endpointOn(natDoc, withPolicies("a", portMapping(6, 80, 8080)))(h)
	}, hcn.ErrSharingViolation},
	{"D.1 0x34", "", []string{"natClash=ERROR_DUP_NAME"}, createOnly(NetworkKind, natDoc, strings.Replace(natDoc, `"nat"`, `"other"`, 1)), hcn.ErrDupName},
	{"D.1 0x57", "", nil, createOnly(NetworkKind, `{"Type":"L2Bridge","Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"Loopback"}}]}`), hcn.ErrInvalidParameter},
	{"D.1 0xb7", "", nil, endpointOn(natDoc, `{"ID":"`+unknownID+`"}`, `{"ID":"`+unknownID+`"}`), hcn.ErrAlreadyExists},
	{"D.1 0x490", "", nil, func(h *host) error { return h.Open(NamespaceKind, unknownID) }, hcn.ErrElementNotFound},
	{"D.1 0x6b5", "", nil, func(h *host) error { h.Stop(); _, err := h.Enumerate(NetworkKind, nil); return err }, hcn.ErrUnknownInterface},
	{"D.1 0x10d8", hcn.WS2016, nil, func(h *host) error { _, err := h.HNSRequest("DELETE", "/networks/"+unknownID, nil); return err }, hcn.ErrInvalidObjectID},
	{"D.1 0x1392", "", nil, createOnly(NetworkKind, natDoc, strings.Replace(natDoc, `"nat"`, `"other"`, 1)), hcn.ErrObjectExists},
}

// byStandin are the codes that the server of sim/standin answers, not the
// service: its tests have their requests.
var byStandin = map[hcn.Code]string{
	hcn.ErrObjectUsedAfterUnload: "D.1-31, G.4: a handle whose object was deleted",
	hcn.ErrInvalidHandle:         "D.3-48: a handle that is closed or unknown",
	hcn.ErrFail:                  "a client process with a million handles",
	hcn.ErrServerUnavail:         "more connections than the server takes",
}

// neverProduced are the codes of section D.1 that no condition of the model
// can produce. A name here must not occur in the code: see the test.
var neverProduced = map[string]string{
	"ErrSwitchNotFound":            "the switch is made with the first network on it and goes with the last",
	"ErrVFPPortSettingNotFound":    "port settings are compiled with the port, there is no moment without them",
	"ErrLayerAlreadyExists":        "layers have no names that a document could repeat",
	"ErrRegkeyFailure":             "the model keeps nothing in a registry",
	"ErrEndpointSharingDisabled":   "no published document switches sharing off; a second container shares (state 3)",
	"ErrEndpointNotLocal":          "requests about remote endpoints get 0x803b000f, which D.3-33 documents",
	"ErrGCNModuleNotFound":         "answered inside a guest",
	"ErrGCNNoRequestHandlers":      "answered inside a guest",
	"ErrGCNRequestUnsupported":     "answered inside a guest",
	"ErrGCNRuntimeKeysFailed":      "answered inside a guest",
	"ErrGCNNetAdapterTimeout":      "answered inside a guest",
	"ErrGCNNetAdapterNotFound":     "answered inside a guest",
	"ErrGCNNetCompartmentNotFound": "answered inside a guest",
	"ErrGCNNetInterfaceNotFound":   "answered inside a guest",
	"ErrGCNDefaultNamespaceExists": "answered inside a guest; HCN takes several (D.3-38)",
}

func TestEveryCodeIsAnsweredOrSaidToBeUnused(t *testing.T) {
	run(t, producers)
	known := map[hcn.Code]string{}
	for _, c := range producers {
		known[c.want] = c.name
	}
	for c, where := range byStandin {
		known[c] = where
	}
	names := codeNames(t)
	for _, c := range hcn.Codes() {
		_, answered := known[c.Code]
		_, never := neverProduced[names[c.Code]]
		if answered == never {
			t.Errorf("%s (%s): answered %v, never produced %v", c.Name, names[c.Code], answered, never)
		}
	}
	for name := range neverProduced {
		for _, where := range uses(t, name) {
			t.Errorf("%s is used in %s: it needs a request in producers", name, where)
		}
	}
}

// codeNames are the Go names of the codes, from the source.
func codeNames(t *testing.T) map[hcn.Code]string {
	t.Helper()
	out := map[hcn.Code]string{}
	f, err := parser.ParseFile(token.NewFileSet(), "../hcn/code.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				if c, err := hcn.ParseCode(lit.Value); err == nil {
					out[c] = v.Names[0].Name
				}
			}
		}
		return true
	})
	return out
}

// uses lists the files of the control plane that use a code.
func uses(t *testing.T, name string) []string {
	t.Helper()
	var out []string
	for _, dir := range []string{".", "../hcn", "../standin"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(files) < 5 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") || strings.HasSuffix(f, "hcn/code.go") {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), name) {
				out = append(out, f)
			}
		}
	}
	return out
}
