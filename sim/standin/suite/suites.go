package main

// suite is a test suite in a package of some module.
type suite struct {
	Name    string // on the command line
	Module  string
	Version string
	Dir     string // of the package, within the module
	Tags    []string
	Profile string // of the host it runs against
	// AtLeast is how many cases there must be: fewer means that the suite was
	// built without its tests, which would pass as easily.
	AtLeast int
	Dialect dialect
	About   string
}

var suites = []suite{
	{
		Name: "hcsshim", Module: "github.com/Microsoft/hcsshim", Version: "v0.15.0", Dir: "hcn",
		Tags: []string{"integration"}, Profile: "ws2025", AtLeast: 78, Dialect: goTests{},
		About: "integration tests of HCN and HNS v1 (contract section E)",
	},
	{
		Name: "hnslib", Module: "github.com/Microsoft/hnslib", Version: "v0.1.3", Dir: "hcn",
		// Not featureaccelnetsupport: its one file does not compile at this
		// version, for an import that it does not use.
		Tags:    []string{"integration", "featureroutesupport"},
		Profile: "ws2025", AtLeast: 79, Dialect: goTests{},
		About: "the fork of package hcn that kube-proxy uses",
	},
	{
		Name: "cni", Module: "github.com/containernetworking/plugins", Version: "v1.9.1", Dir: "pkg/hns",
		Profile: "ws2025", AtLeast: 20, Dialect: ginkgoSpecs{},
		About: "the package that win-bridge and win-overlay are built on",
	},
}

func find(name string) *suite {
	for i := range suites {
		if suites[i].Name == name {
			return &suites[i]
		}
	}
	return nil
}
