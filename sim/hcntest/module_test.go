package hcntest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// outside is a driver in a module of its own, in the two files that the README
// shows: on Windows its types are hcsshim's, elsewhere those of this package.
var outside = map[string]string{
	"go.mod": "module example.org/driver\n\ngo 1.26\n\nrequire github.com/hnsim/hnsim v0.0.0\n\nreplace github.com/hnsim/hnsim => ROOT\n",
	"types_other.go": `//go:build !windows

package driver

import hcn "github.com/hnsim/hnsim/sim/hcntest"

type (
	Network  = hcn.HostComputeNetwork
	Endpoint = hcn.HostComputeEndpoint
)

const NAT = hcn.NAT

var IsNotFound = hcn.IsNotFoundError
`,
	"driver.go": `package driver

type HNS interface {
	GetNetworkByName(name string) (*Network, error)
	CreateNetwork(network *Network) (*Network, error)
	CreateEndpoint(endpoint *Endpoint, network *Network) (*Endpoint, error)
}

func AddPod(hns HNS) (*Endpoint, error) {
	n, err := hns.GetNetworkByName("nat")
	if IsNotFound(err) {
		n, err = hns.CreateNetwork(&Network{Name: "nat", Type: NAT})
	}
	if err != nil {
		return nil, err
	}
	return hns.CreateEndpoint(&Endpoint{Name: "pod"}, n)
}
`,
	"driver_test.go": `package driver

import (
	"testing"

	"github.com/hnsim/hnsim/sim/hcntest"
)

func TestAPodReachesTheOutside(t *testing.T) {
	lab := hcntest.New(t, hcntest.Config{Profile: "ws2025"})
	h1 := lab.Host("h1")
	ep, err := AddPod(h1)
	if err != nil {
		t.Fatal(err)
	}
	lab.External().Listen("tcp", 80)
	if x, err := h1.Run(ep.Id).Reach("tcp", "203.0.113.80:80"); err != nil || x.Seen.Addr() != h1.Self().Addr() {
		t.Fatal(x, err)
	}
}
`,
}

// TestAModuleOfItsOwnCanUseThePackage builds and runs it as its author would,
// without a network: nothing but the standard library is needed.
func TestAModuleOfItsOwnCanUseThePackage(t *testing.T) {
	if testing.Short() {
		t.Skip("builds another module: not with -short")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range outside {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "ROOT", root)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
