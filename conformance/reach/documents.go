package reach

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/hnsim/hnsim/scenarios/script"
)

// Document is a file with HCN documents: one, or a list of them.
type Document struct {
	File string
	Data []byte
}

// shape is what tells documents apart.
type shape struct {
	ID, Name             string
	Type                 json.RawMessage
	Ipams                json.RawMessage
	PortMappings         json.RawMessage
	HostComputeEndpoints json.RawMessage
	HostComputeNetwork   string
	Subnets              json.RawMessage // of a v1 network
}

// FromDocuments makes a scenario with one host, on a LAN with a router and an
// external machine behind it: each network of the documents, and behind it its
// endpoints, which become containers, then load balancers. An endpoint belongs
// to the network that HostComputeNetwork names, else to the one before it.
func FromDocuments(docs []Document) ([]byte, error) {
	var lines, last []string
	archive := &txtar.Archive{}
	networks := map[string]string{}
	network, roles := "", map[string]bool{}
	for _, d := range docs {
		objects, err := split(d)
		if err != nil {
			return nil, err
		}
		for i, raw := range objects {
			var s shape
			if err := json.Unmarshal(raw, &s); err != nil {
				return nil, fmt.Errorf("%s, object %d: %w", d.File, i+1, err)
			}
			name := fileName(d.File, i, len(objects), archive.Files)
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: append(raw, '\n')})
			switch {
			case s.Subnets != nil && s.Ipams == nil:
				return nil, fmt.Errorf("%s, object %d: found a v1 document (Subnets), expected a v2 one (Ipams): export it with HcnQueryNetworkProperties", d.File, i+1)
			case s.PortMappings != nil && s.HostComputeEndpoints != nil:
				last = append(last, fmt.Sprintf("loadbalancer h1 lb%d %s", len(last)+1, name))
			case s.Ipams != nil || isText(s.Type):
				network = fmt.Sprintf("net%d", len(networks)+1)
				networks[strings.ToLower(s.ID)+"/"+network] = network
				lines = append(lines, fmt.Sprintf("network h1 %s %s", network, name))
			default:
				in := networkOf(networks, s.HostComputeNetwork, network)
				if in == "" {
					return nil, fmt.Errorf("%s, object %d: an endpoint without a network before it: name the network's file first", d.File, i+1)
				}
				role := roleName(s.Name, roles)
				lines = append(lines, fmt.Sprintf("endpoint %s %s %s", role, in, name))
			}
		}
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("no network and no endpoint in %d files", len(docs))
	}
	head := []string{
		"# DOCS-1: the documents that were given", "# rules: B1", "# labels: control", "",
		"router r lan=10.127.130.1/24 wan=203.0.113.1/24",
		"external x ip=203.0.113.80/24 segment=wan",
		"external y ip=10.127.130.77/24",
		"host h1 ip=10.127.130.35/24",
	}
	archive.Comment = []byte(strings.Join(append(append(head, lines...), last...), "\n") + "\n")
	return txtar.Format(archive), nil
}

// split takes a file apart into its objects.
func split(d Document) ([]json.RawMessage, error) {
	data := bytes.TrimSpace(bytes.TrimPrefix(d.Data, []byte("\xef\xbb\xbf")))
	if len(data) > 0 && data[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, notJSON(d.File, data, err)
		}
		return list, nil
	}
	if !json.Valid(data) {
		var v any
		return nil, notJSON(d.File, data, json.Unmarshal(data, &v))
	}
	return []json.RawMessage{data}, nil
}

// plainName is what a script may say without quotes.
var plainName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// fileName is the name of object i of n of a file: messages say it.
func fileName(file string, i, n int, taken []txtar.File) string {
	name := plainName.ReplaceAllString(path.Base(filepath.ToSlash(file)), "_")
	if n > 1 {
		name = fmt.Sprintf("%s.%d", name, i+1)
	}
	if name == script.ReachFile || slices.ContainsFunc(taken, func(f txtar.File) bool { return f.Name == name }) {
		name = fmt.Sprintf("doc%d-%s", len(taken)+1, name)
	}
	return name
}

// notJSON says at which line of a file it stops being JSON.
func notJSON(file string, data []byte, err error) error {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return fmt.Errorf("%s:1: the file is UTF-16, expected UTF-8: write it with Out-File -Encoding utf8", file)
	}
	line := 1 + bytes.Count(data, []byte("\n"))
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		line = 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
	case errors.As(err, &kind):
		return fmt.Errorf("%s:%d: at %q: found a JSON %s, which does not belong there", file, 1+bytes.Count(data[:min(int(kind.Offset), len(data))], []byte("\n")), kind.Field, kind.Value)
	}
	return fmt.Errorf("%s:%d: not JSON: %w", file, line, err)
}

func isText(raw json.RawMessage) bool { return len(raw) > 2 && raw[0] == '"' }

// networkOf is the network with an id, else the fallback.
func networkOf(networks map[string]string, id, fallback string) string {
	for key, name := range networks {
		if known, _, _ := strings.Cut(key, "/"); id != "" && known == strings.ToLower(id) {
			return name
		}
	}
	return fallback
}

// roleName makes a name of the scenario language of an endpoint's name.
func roleName(name string, taken map[string]bool) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return -1
	}, name)
	if clean == "" || clean[0] >= '0' && clean[0] <= '9' {
		clean = "ep" + clean
	}
	role := clean
	for i := 2; taken[role] || len(role) < 3; i++ {
		role = fmt.Sprintf("%s_%d", clean, i)
	}
	taken[role] = true
	return role
}
