package testbed

import (
	"maps"
	"slices"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// Bed is a test bed. Parse makes valid ones only.
type Bed struct {
	File        string // as it was named, for messages
	Coordinator Coordinator
	Agents      map[string]Agent // by name
	Roles       map[string]Role  // by the name that scenarios use
}

// Coordinator says how agents reach the machine that runs the scenarios.
type Coordinator struct {
	Listen   string        // host:port to which agents connect
	Join     string        // host:port at which they get their certificates
	State    string        // folder of the authority, relative to the file
	Wait     time.Duration // for agents to connect
	Patience time.Duration // how long an agent may be silent during a run
}

// Agent is a machine.
type Agent struct {
	Line  int
	Wires map[string]string // segment to interface of that machine
}

// Role is a node of scenarios.
type Role struct {
	Line  int
	Agent string
	Kind  backends.NodeKind // host unless the file says otherwise
	Needs []string          // capabilities, or features of HNS
}

// Defaults of what the file may leave out.
const (
	DefaultWait     = 30 * time.Second
	DefaultPatience = 5 * time.Second
	DefaultState    = "testbed-state"
)

// AgentNames are the names of all agents, sorted.
func (b *Bed) AgentNames() []string { return slices.Sorted(maps.Keys(b.Agents)) }

// RoleNames are the names of all roles, sorted.
func (b *Bed) RoleNames() []string { return slices.Sorted(maps.Keys(b.Roles)) }

// RolesOf are the roles of an agent, sorted.
func (b *Bed) RolesOf(agent string) []string {
	return slices.DeleteFunc(b.RoleNames(), func(r string) bool { return b.Roles[r].Agent != agent })
}
