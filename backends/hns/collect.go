package hns

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Documents are all objects of a kind (network, endpoint, namespace,
// loadbalancer, route) that this machine's HNS has, as it prints them in the v2
// shape. It reads and changes nothing.
func Documents(kind string) ([]json.RawMessage, error) {
	if runtime.GOOS != "windows" {
		return nil, errors.New(needsWindows)
	}
	return documents(localControl(), kind)
}

func documents(c control, kind string) ([]json.RawMessage, error) {
	list, err := c.do(backends.HCNOp{Kind: kind, Verb: "enumerate"})
	if err != nil {
		return nil, err
	}
	var ids []string
	if err := json.Unmarshal(list.Document, &ids); err != nil {
		return nil, fmt.Errorf("the list of %ss is %q, expected a list of ids: %w", kind, list.Document, err)
	}
	var out []json.RawMessage
	for _, id := range ids {
		res, err := c.do(backends.HCNOp{Kind: kind, Verb: "query", ID: id})
		var gone *hcn.Error
		if errors.As(err, &gone) && notFound(gone.Code) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", kind, id, err)
		}
		out = append(out, res.Document)
	}
	return out, nil
}

func notFound(c hcn.Code) bool {
	return c == hcn.ErrNetworkNotFound || c == hcn.ErrEndpointNotFound || c == hcn.ErrElementNotFound
}

// ServiceVersion is that of this machine's HNS, "13.3".
func ServiceVersion() (string, error) {
	if runtime.GOOS != "windows" {
		return "", errors.New(needsWindows)
	}
	v, err := localControl().version()
	return v.String(), err
}

// toolTime is what a tool of Windows may take.
const toolTime = 30 * time.Second

// tools print what HNS has no document for.
var tools = map[string][]string{
	"excluded-ports-tcp": {"netsh", "int", "ipv4", "show", "excludedportrange", "protocol=tcp"},
	"excluded-ports-udp": {"netsh", "int", "ipv4", "show", "excludedportrange", "protocol=udp"},
	listPorts:            {"vfpctrl", "/list-vmswitch-port"},
	"routing-table":      {"route", "print"},
	"windows":            {"cmd", "/c", "ver"},
}

// output is what a tool said, or why it did not.
type output struct {
	Command []string `json:"command"`
	Output  string   `json:"output,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// adapter is a NIC of this machine.
type adapter struct {
	Name  string   `json:"name"`
	Index int      `json:"index"`
	MTU   int      `json:"mtu"`
	MAC   string   `json:"mac,omitempty"`
	Flags string   `json:"flags"`
	Addrs []string `json:"addrs"`
}

// Surroundings are what belongs to the state of a host beside HNS's objects:
// adapters, excluded port ranges, VFP's ports with their rules, routes, the
// build. What cannot be read says why.
func Surroundings() map[string]json.RawMessage {
	out := map[string]json.RawMessage{"adapters": adapters()}
	for name, command := range tools {
		o := output{Command: command}
		if text, err := runTool(command); err != nil {
			o.Error = err.Error()
		} else {
			o.Output = text
		}
		if b, err := json.MarshalIndent(o, "", " "); err == nil {
			out[name] = b
		}
		if name == listPorts {
			out["vfp-rules"] = portDetails(o.Output, runTool)
		}
	}
	return out
}

// listPorts is the tool whose output names VFP's ports.
const listPorts = "vfp-ports"

// perPort is what VFP is asked about every port; the port's name follows.
var perPort = [][]string{
	{"vfpctrl", "/get-port-state", "/port"},
	{"vfpctrl", "/list-rule", "/port"},
	{"vfpctrl", "/list-nat-range", "/port"},
}

// maxPorts bounds what is asked: a host has a port for each container.
const maxPorts = 1000

var portName = regexp.MustCompile(`(?im)^\s*port name\s*:\s*(\S+)\s*$`)

// portDetails are layers, rules, NAT ranges and states of the ports in a list
// that vfpctrl has printed.
func portDetails(list string, run func([]string) (string, error)) json.RawMessage {
	details := []output{}
	ports := portName.FindAllStringSubmatch(list, maxPorts)
	for _, port := range ports {
		for _, ask := range perPort {
			o := output{Command: append(slices.Clone(ask), port[1])}
			text, err := run(o.Command)
			if o.Output = text; err != nil {
				o.Error = err.Error()
			}
			details = append(details, o)
		}
	}
	b, err := json.MarshalIndent(details, "", " ")
	if err != nil {
		return nil // strings only
	}
	return b
}

func runTool(command []string) (string, error) {
	c := exec.Command(command[0], command[1:]...)
	kill := time.AfterFunc(toolTime, func() {
		if c.Process != nil {
			_ = c.Process.Kill()
		}
	})
	defer kill.Stop()
	text, err := c.CombinedOutput()
	return string(text), err
}

func adapters() json.RawMessage {
	list, err := net.Interfaces()
	out := make([]adapter, 0, len(list))
	for _, i := range list {
		a := adapter{Name: i.Name, Index: i.Index, MTU: i.MTU, MAC: i.HardwareAddr.String(), Flags: i.Flags.String()}
		if addrs, err := i.Addrs(); err == nil {
			for _, p := range addrs {
				a.Addrs = append(a.Addrs, p.String())
			}
		}
		out = append(out, a)
	}
	var v any = out
	if err != nil {
		v = output{Command: []string{"interfaces"}, Error: err.Error()}
	}
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return nil // strings and numbers only
	}
	return b
}
