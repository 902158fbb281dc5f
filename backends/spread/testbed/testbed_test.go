package testbed

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
)

const good = `# two hosts and somebody outside
coordinator:
  listen: 192.0.2.1:7422
  state: ca
  wait: 1m
agents:
  a1: {wires: {lan: eth1}}
  a2:
    wires:
      lan: eth1
      wan: eth2
  a3:
roles:
  h1: {agent: a1, needs: [network.overlay, RemoteSubnet]}
  h2: a2
  x: {agent: a3, kind: external}
`

func TestAFileIsRead(t *testing.T) {
	b, err := Parse("bed.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := Coordinator{Listen: "192.0.2.1:7422", Join: "192.0.2.1:7423", State: "ca", Wait: time.Minute, Patience: DefaultPatience}
	if b.Coordinator != want {
		t.Errorf("coordinator %+v, want %+v", b.Coordinator, want)
	}
	if got := b.Agents["a2"].Wires; !reflect.DeepEqual(got, map[string]string{"lan": "eth1", "wan": "eth2"}) {
		t.Errorf("wires of a2: %v", got)
	}
	roles := map[string]Role{
		"h1": {14, "a1", backends.HostNode, []string{"network.overlay", "RemoteSubnet"}},
		"h2": {15, "a2", backends.HostNode, nil},
		"x":  {16, "a3", backends.ExternalNode, nil},
	}
	if !reflect.DeepEqual(b.Roles, roles) {
		t.Errorf("roles %+v, want %+v", b.Roles, roles)
	}
	if got := b.RolesOf("a3"); !slices.Equal(got, []string{"x"}) {
		t.Errorf("roles of a3: %v", got)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "state: ca", "stat: ca", `bed.yaml:4: coordinator: unknown key "stat"; expected listen, join, state, wait, patience`},
		{"a key twice", "  a3:\n", "  a3:\n  a1:\n", `bed.yaml:13: agents: "a1" stands here a second time (first in line 7)`},
		{"no port", "192.0.2.1:7422", "192.0.2.1", `bed.yaml:3: coordinator.listen: expected an address and port such as 192.0.2.1:7422, found "192.0.2.1"`},
		{"a port that cannot be", "192.0.2.1:7422", "192.0.2.1:74220", `bed.yaml:3: coordinator.listen: expected an address`},
		{"both addresses the same", "  state: ca", "  join: 192.0.2.1:7422", `coordinator: join and listen are both 192.0.2.1:7422`},
		{"a time that cannot be", "1m", "1 minute", `bed.yaml:5: coordinator.wait: expected a time from 100ms to 1h0m0s, such as 30s, found "1 minute"`},
		{"no time", "1m", "0s", `bed.yaml:5: coordinator.wait: expected a time`},
		{"a list for a mapping", "{lan: eth1}}", "[lan, eth1]}", `bed.yaml:7: wires of agent a1: expected a mapping, found a list`},
		{"one interface for two segments", "wan: eth2", "wan: eth1", `bed.yaml:11: wires of agent a2: interface "eth1" carries lan already`},
		{"an agent that is not there", "h2: a2", "h2: a9", `bed.yaml:15: role h2: no agent "a9"; expected one of a1, a2, a3`},
		{"an agent without a role", "h2: a2", "h2: a1", `bed.yaml:8: agent a2 has no role`},
		{"an unknown kind", "kind: external", "kind: printer", `bed.yaml:16: role x: unknown kind "printer"; expected host, router or external`},
		{"an unknown need", "RemoteSubnet", "Teleport", `bed.yaml:14: role h1: needs: "Teleport" is neither a capability (network.overlay) nor a feature of HNS`},
		{"a need twice", "RemoteSubnet", "network.overlay", `bed.yaml:14: role h1: needs: "network.overlay" stands here twice`},
		{"a role without an agent", "{agent: a3, kind: external}", "{kind: external}", `bed.yaml:16: role x: agent is missing`},
		{"an alias", "{wires: {lan: eth1}}", "&one {wires: {lan: eth1}}\n  a4: *one", `bed.yaml:8: agents: "a4" is an alias; write it out`},
		{"a name that cannot be", "a1: {wires", "a.1: {wires", `bed.yaml:7: agent "a.1": expected 1 to 40 letters`},
		{"no YAML", "coordinator:", "coordinator: [", `bed.yaml: not YAML: line`},
		{"no roles", good[strings.Index(good, "roles:"):], "", `bed.yaml:2: the file: roles is missing or empty`},
		{"nothing", good, "# nothing\n", `bed.yaml: the file is empty`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.new, 1)
			if text == good {
				t.Fatalf("%q is not in the file", c.old)
			}
			_, err := Parse("bed.yaml", []byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestFilesHaveBounds(t *testing.T) {
	if _, err := Parse("f", make([]byte, maxBytes+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Error(err)
	}
	var many strings.Builder
	many.WriteString("coordinator: {listen: \"h:1\"}\nroles: {h1: a}\nagents:\n")
	for i := range maxNames + 1 {
		many.WriteString("  a" + strings.Repeat("b", i%30) + string(rune('A'+i/30)) + ":\n")
	}
	if _, err := Parse("f", []byte(many.String())); err == nil || !strings.Contains(err.Error(), "agents: more than 64") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("coordinator: {listen: \"h:1\"}\nagents: {a: }\nroles: {h1: a}"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("agents: {<<: {a: b}}"))
	f.Add([]byte("? {a: b}\n: c"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Parse("f", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("an error without the file: %v", err)
			}
			return
		}
		if b.Coordinator.Listen == "" || b.Coordinator.Listen == b.Coordinator.Join || b.Coordinator.Wait <= 0 || b.Coordinator.Patience <= 0 {
			t.Errorf("accepted: %+v", b.Coordinator)
		}
		for name, r := range b.Roles {
			if _, ok := b.Agents[r.Agent]; !ok || r.Line == 0 {
				t.Errorf("role %s: %+v", name, r)
			}
		}
	})
}
