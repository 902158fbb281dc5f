package arch

// edge forbids that a package matching from imports, directly or through
// others, a package matching to. A pattern that ends in /... matches the
// package and all below it. Paths of this module are written without the
// module path.
type edge struct {
	from, to string
	why      string
	except   []string // packages that match from but may import to
	tests    bool     // the edge holds for test files too (their direct imports)
}

// The rules go from the bottom of the tree to its top.
var edges = []edge{
	// Model, bottom up.
	{from: "sim/wire", to: "sim/...", except: []string{"sim/wire"}, tests: true,
		why: "wire knows bytes only, so that everything above can rely on it"},
	{from: "sim/vfp", to: "sim/...", except: []string{"sim/wire", "sim/vfp"},
		why: "the flow engine knows layers and rules, not what they are for"},
	{from: "sim/hcn", to: "sim/...", except: []string{"sim/wire", "sim/hcn"}, tests: true,
		why: "documents are pure data: backends and scripts use them without the model"},
	{from: "sim/acl", to: "sim/...", except: []string{"sim/wire", "sim/vfp", "sim/acl"},
		why: "a policy layer compiles to vfp rules and knows no other policy"},
	{from: "sim/slb", to: "sim/...", except: []string{"sim/wire", "sim/vfp", "sim/slb"},
		why: "a policy layer compiles to vfp rules and knows no other policy"},
	{from: "sim/overlay", to: "sim/...", except: []string{"sim/wire", "sim/vfp", "sim/overlay"},
		why: "a policy layer compiles to vfp rules and knows no other policy"},
	{from: "sim/vnet", to: "sim/...", except: []string{"sim/wire", "sim/vfp", "sim/vnet"},
		why: "a policy layer compiles to vfp rules and knows no other policy"},
	{from: "sim/l2bridge", to: "sim/...", except: []string{"sim/wire", "sim/vfp", "sim/l2bridge"},
		why: "a policy layer compiles to vfp rules and knows no other policy"},
	{from: "sim/snat", to: "sim/...", except: []string{"sim/wire", "sim/vfp", "sim/snat"},
		why: "a policy layer compiles to vfp rules and knows no other policy"},
	{from: "sim/qos", to: "sim/...", except: []string{"sim/wire", "sim/vfp", "sim/qos"},
		why: "a policy layer compiles to vfp rules and knows no other policy"},
	{from: "sim/proxy", to: "sim/...", except: []string{"sim/wire", "sim/vfp", "sim/proxy"},
		why: "a policy layer compiles to vfp rules and knows no other policy"},
	{from: "sim/vswitch", to: "sim/...", except: []string{"sim/wire", "sim/vfp", "sim/vswitch"},
		why: "the switch runs programs; who compiled them from which document is not its business"},
	{from: "sim/winnat", to: "sim/...", except: []string{"sim/wire", "sim/vfp", "sim/winnat"},
		why: "WinNAT sits on the routed path of a host and knows packets only"},
	{from: "sim/fabric/...", to: "sim/hns",
		why: "hosts and links carry out a program; the control plane drives them, never the other way round"},
	{from: "sim/fabric/...", to: "sim/hcn",
		why: "only hns knows both documents and stages"},
	{from: "sim/fabric/...", to: "sim/sdn",
		why: "hosts and links carry out a program; the network controller drives them, never the other way round"},
	{from: "sim/sdn", to: "sim", why: "the world uses the controller, not the other way round"},
	{from: "sim/sdn", to: "sim/hns", why: "two control planes: container networks and tenant networks know nothing of each other"},
	{from: "sim/hns", to: "sim/sdn", why: "two control planes: container networks and tenant networks know nothing of each other"},
	{from: "sim/vswitch", to: "sim/hcn", why: "only hns knows both documents and stages"},
	{from: "sim/hns", to: "sim", why: "the world uses the control plane, not the other way round"},
	{from: "sim/standin", to: "sim/standin/...", except: []string{"sim/standin"},
		why: "the protocol of the DLLs knows neither HTTP, nor files, nor wine"},
	{from: "sim/standin/statefile", to: "sim/...", except: []string{"sim/standin/statefile"},
		why: "the state file keeps records, whatever is in them"},

	{from: "sim/...", to: "sim/hcntest", except: []string{"sim/hcntest"}, why: "hcntest is the model for other modules; nothing here needs its types"},
	{from: "backends/...", to: "sim/hcntest", why: "hcntest is the model for other modules"},
	{from: "conformance/...", to: "sim/hcntest", why: "hcntest is the model for other modules"},
	{from: "cmd/...", to: "sim/hcntest", why: "hcntest is the model for other modules"},

	// The model does not know who watches it.
	{from: "sim/...", to: "backends/...", why: "a backend adapts the model; the model knows no backend"},
	{from: "sim/...", to: "scenarios/...", why: "the model must not be able to tell a test from use"},
	{from: "sim/...", to: "conformance/...", why: "the model must not be able to tell a test from use"},
	{from: "sim/...", to: "reports", why: "the model returns values; presenting them is somebody else's work"},
	{from: "sim/...", to: "cmd/...", why: "imports run downwards"},

	// Backends meet the suite through one interface.
	{from: "backends", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "the contract of backends must not lean towards the model"},
	{from: "backends", to: "backends/...", except: []string{"backends"}, why: "the contract knows none of its implementations"},
	{from: "backends/...", to: "scenarios/...", why: "a backend that knows the scenarios could answer them by heart"},
	{from: "backends/...", to: "conformance/...", why: "a backend that knows the suite could answer it by heart"},
	{from: "backends/...", to: "reports", why: "backends return observations; presenting them is somebody else's work"},
	{from: "backends/hns", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "the real thing is compared with the model, so they must not share code"},
	{from: "backends/linux", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "the kernel is compared with the model, so they must not share code"},

	{from: "backends/recording", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "a recording is of any backend, so it must not lean towards the model"},
	{from: "backends/remote", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "worlds behind a connection are of any backend"},
	{from: "backends/replay", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "what a recording does not have must not be made up by the model"},

	{from: "backends/codec", to: "backends/...", except: []string{"backends", "backends/codec"}, why: "the contract's values are written in one way, whoever sends or keeps them"},
	{from: "backends/spread/...", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "what machines answer must not be made up by the model"},
	{from: "backends/spread/...", to: "backends/...", except: []string{"backends", "backends/codec", "backends/spread/..."},
		why: "a coordinator and an agent see the contract; which backend an agent has is injected"},
	{from: "backends/spread/transport", to: "backends/...", except: []string{"backends/spread/transport"},
		why: "the transport carries bytes: it must be replaceable, and testable without worlds"},
	{from: "backends/spread/testbed", to: "backends/...", except: []string{"backends", "backends/spread/testbed"},
		why: "a test bed file is checked where no message server is"},

	// The suite serves all backends alike.
	{from: "scenarios/...", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "scenarios see a backend; that is what lets one suite serve all of them"},
	{from: "scenarios/...", to: "backends/...", except: []string{"backends"},
		why: "scenarios see the contract, not an implementation"},
	{from: "scenarios/...", to: "conformance/...", why: "imports run downwards"},
	{from: "scenarios/...", to: "reports", why: "the engine returns results; presenting them is somebody else's work"},
	{from: "conformance", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "the suite sees a backend; that is what lets one suite serve all of them"},
	{from: "conformance", to: "backends/...", except: []string{"backends"},
		why: "whoever runs the suite injects the backend"},
	{from: "conformance/compare", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "a comparison that leans towards the model finds what the model thinks"},
	{from: "conformance/compare", to: "backends/...", except: []string{"backends"},
		why: "both sides are compared by the contract alone"},
	{from: "conformance/compare", to: "scenarios/...",
		why: "what scenarios expect plays no part in a comparison"},
	{from: "conformance/bench/...", to: "sim/...", except: []string{"sim/hcn", "sim/wire"},
		why: "what is timed is what the suite checks: a backend, seen from outside"},
	{from: "conformance/bench/...", to: "backends/...", except: []string{"backends"},
		why: "whoever runs the benchmark injects the backend"},
	{from: "conformance/bench/histogram", to: "conformance/...", except: []string{"conformance/bench/histogram"}, why: "numbers, whatever they measure"},
	{from: "conformance/...", to: "cmd/...", why: "imports run downwards"},
	{from: "reports", to: "sim/...", except: []string{"sim/wire"},
		why: "reports must be able to present the results of every backend"},
	{from: "reports", to: "backends/...", why: "reports know results and events only"},
	{from: "reports", to: "scenarios/...", why: "reports know results and events only"},
	{from: "reports", to: "conformance/...", why: "reports know results and events only"},
	{from: "reports", to: "cmd/...", why: "imports run downwards"},
	{from: "reports/statement", to: "sim/...", why: "a statement is about results, whatever they are of"},
	{from: "reports/statement", to: "backends/...", why: "a statement is about results, whatever they are of"},
	{from: "reports/statement", to: "conformance/...", why: "a statement is about results, whatever they are of"},
}

// home says that an outside module may be imported directly by some packages
// only.
type home struct {
	module string
	in     []string // patterns
	tests  bool     // test files anywhere may import it
	why    string
}

var homes = []home{
	{module: "github.com/onsi/ginkgo", in: []string{"conformance/..."},
		why: "one package speaks the test framework; results and events are plain data for everybody else"},
	{module: "github.com/onsi/gomega", in: []string{"conformance/..."},
		why: "one package speaks the test framework"},
	{module: "github.com/Microsoft/hcsshim", in: []string{"backends/hns/...", "sim/hcn"},
		why: "documents are ours, checked against hcsshim's source; only the real backend calls Windows (sim/hcn names the module in a file that is never built, so that its tests can read it)"},
	{module: "github.com/Microsoft/go-winio", in: []string{"backends/hns/..."},
		why: "hcsshim's GUIDs are of its kind"},
	{module: "gvisor.dev/gvisor", in: []string{"sim/guest/..."},
		why: "the guest's TCP/IP stack must stay replaceable, and must not leak into the packet path"},
	{module: "github.com/vishvananda/netlink", in: []string{"backends/linux/...", "sim/standin/hostnet"},
		why: "only the kernel backend talks to the kernel, and what shows programs under wine the interfaces of their host"},
	{module: "github.com/vishvananda/netns", in: []string{"backends/linux/..."},
		why: "only the kernel backend talks to the kernel"},
	{module: "github.com/google/nftables", in: []string{"backends/linux/..."},
		why: "only the kernel backend talks to the kernel"},
	{module: "github.com/gopacket/gopacket", in: []string{"conformance/bench/...", "backends/hns/..."}, tests: true,
		why: "our own bytes code is checked against it, so it must not be built on it"},
	{module: "github.com/spf13/cobra", in: []string{"cmd/..."}, why: "the command line stays in cmd"},
	{module: "github.com/spf13/pflag", in: []string{"cmd/..."}, why: "the command line stays in cmd"},
	{module: "github.com/nats-io/nats-server", in: []string{"backends/spread/transport"},
		why: "messages between machines are carried by a well-kept server, embedded in the coordinator; nobody else may come to depend on it"},
	{module: "github.com/nats-io/nats.go", in: []string{"backends/spread/transport"},
		why: "one package speaks the message protocol"},
	{module: "go.yaml.in/yaml", in: []string{"backends/spread/testbed", "reports/statement"},
		why: "conformance reports have the form of gateway-api's, which is YAML; test bed files are written by hand, with comments, and errors must name the line: encoding/json has neither; everything else that is configured is JSON"},
	{module: "net/http", in: []string{"sim/standin/rest", "sim/guest"}, tests: true,
		why: "one package serves HTTP; the stand-in hands its connections over (a guest gives programs under test an HTTP client)"},
	{module: "rsc.io/script", in: []string{"scenarios/..."}, tests: true, why: "one package speaks the script engine"},
}

// packetPath are the packages whose code runs for every packet.
var packetPath = []string{
	"sim/wire", "sim/vfp", "sim/vswitch", "sim/winnat", "sim/acl", "sim/slb", "sim/overlay",
	"sim/vnet", "sim/l2bridge", "sim/snat", "sim/qos", "sim/proxy",
}

// notInPacketPath are imports that would let something other than packets and
// configuration decide what happens to a packet.
var notInPacketPath = map[string]string{
	"log":          "the packet path does not log: counters, drop reasons and traces say what happened",
	"log/slog":     "the packet path does not log: counters, drop reasons and traces say what happened",
	"math/rand":    "randomness arrives as an argument, or a seed does not reproduce a run",
	"math/rand/v2": "randomness arrives as an argument, or a seed does not reproduce a run",
	"crypto/rand":  "randomness arrives as an argument, or a seed does not reproduce a run",
	"os":           "the packet path has no environment",
	"sync":         "one worker owns its flows; a lock in the packet path says that the design is wrong",
}

// clocks are functions that read or wait on the wall clock; time arrives as an
// argument.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// noClock are the packages (beyond the packet path) that run on virtual time.
var noClock = []string{"sim/fabric/...", "sim/hns", "sim/hcn", "sim/sdn"}

const maxFileLines = 500
