package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
)

// fragmentKind is the kind of a file that becomes part of a request.
const fragmentKind kind = "fragment"

// document takes the name of a JSON file and returns its text with variables
// replaced. Unless the line expects a refusal, the text is checked as what it
// is for, so that a slip of the pen is told apart from an answer of the service.
func (p *parser) document(k kind) []byte {
	f := p.file("the file with the document")
	if p.err != nil {
		return nil
	}
	data := p.expandFile(f)
	if p.err != nil || p.line.negate {
		return data
	}
	p.check(checkDocument(f, k, data))
	if p.err == nil && k != fragmentKind && k != sdnKind {
		p.sc.sends(Document{File: f.name, Line: f.line, Kind: string(k), Data: data})
	}
	return data
}

// expandFile replaces ${name} everywhere and $name where such a variable
// exists.
func (p *parser) expandFile(f *file) []byte {
	var out strings.Builder
	for i, line := range strings.SplitAfter(f.data, "\n") {
		out.WriteString(expandText(line, func(name string, braces bool) (string, bool) {
			v, ok := p.sc.lookup(name)
			if !ok && braces {
				p.check(fmt.Errorf("file %s: %w", f.name, p.sc.unknownVariable(name, f.line+i)))
			}
			return v, ok
		}))
	}
	return []byte(out.String())
}

// expandText replaces variables; those that lookup does not know stay.
func expandText(s string, lookup func(name string, braces bool) (string, bool)) string {
	var out strings.Builder
	for {
		at := strings.IndexByte(s, '$')
		if at < 0 || at+1 == len(s) {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:at])
		s = s[at:]
		name, size := "", 1
		if s[1] == '{' {
			if end := strings.IndexByte(s, '}'); end > 0 {
				name, size = s[2:end], end+1
			}
		} else {
			for size < len(s) && isWordByte(s[size]) {
				size++
			}
			name = s[1:size]
		}
		value, ok := lookup(name, s[1] == '{')
		if name == "" || !ok {
			value = s[:size]
		}
		out.WriteString(value)
		s = s[size:]
	}
}

func isWordByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_'
}

// unknownVariable says what is wrong with a variable, and where if it is not
// in the script itself.
func (s *scope) unknownVariable(v string, line int) error {
	where := ""
	if line > 0 {
		where = fmt.Sprintf("line %d: ", line)
	}
	what, who, ok := strings.Cut(v, ":")
	if ok {
		switch what {
		case "id", "ip", "ip6", "mac", "dr":
			return fmt.Errorf("%s${%s} is not known here: nothing named %s has it so far%s", where, v, quoteShort(who), didYouMean(v, wordNames(s.vars)))
		}
	}
	return fmt.Errorf("%sunknown variable $%s%s", where, v, didYouMean(v, wordNames(s.vars)))
}

func checkDocument(f *file, k kind, data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		var syntax *json.SyntaxError
		line := f.line
		if errors.As(err, &syntax) {
			line += bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
		}
		return fmt.Errorf("file %s, line %d: not JSON: %v", f.name, line, err)
	}
	var err error
	switch k {
	case networkKind:
		_, err = hcn.DecodeNetwork(data)
	case endpointKind:
		_, err = hcn.DecodeEndpoint(data)
	case namespaceKind:
		_, err = hcn.DecodeNamespace(data)
	case loadbalancerKind:
		if _, err = hcn.DecodeLoadBalancer(data); err != nil {
			_, _, err = hcn.DecodePolicyList(data)
		}
	}
	if err == nil {
		return nil
	}
	var refused *hcn.Error
	line := f.line
	if errors.As(err, &refused) && refused.Line > 0 {
		line += refused.Line - 1
		refused = &hcn.Error{Detail: refused.Detail, Path: refused.Path, Found: refused.Found, Expected: refused.Expected}
		err = errors.New(refused.DetailText())
	}
	return fmt.Errorf("file %s, line %d: no %s: %w", f.name, line, k, err)
}

// policyRequest wraps what a policy line's file holds into a modify request:
// one policy, a list of them, an object with Policies, or a whole request.
func policyRequest(verb string, data []byte) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		if err := json.Unmarshal(data, &object); err != nil {
			return nil, fmt.Errorf("expected a policy, a list of policies, or {\"Policies\":[...]}")
		}
	}
	switch {
	case object["RequestType"] != nil:
		return data, nil
	case object["Policies"] != nil:
		if err := json.Unmarshal(object["Policies"], &list); err != nil {
			return nil, fmt.Errorf("the member Policies is no list")
		}
	case object["Type"] != nil:
		list = []json.RawMessage{data}
	case object != nil:
		return nil, fmt.Errorf("expected a policy with a Type, a list of policies, or {\"Policies\":[...]}")
	}
	return json.Marshal(map[string]any{
		"RequestType": verb, "ResourceType": "Policy", "Settings": map[string]any{"Policies": list},
	})
}

// readable is a JSON document for people.
func readable(doc json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Indent(&out, doc, "", "  "); err != nil {
		return string(doc) + "\n"
	}
	return out.String() + "\n"
}

// expandArgs expands the words of a line; $$ is a dollar.
func (s *scope) expandArgs(tokens []token) ([]arg, error) {
	out := make([]arg, len(tokens))
	for i, t := range tokens {
		a, missing := t.expand(func(name string) (string, bool) {
			if name == "$" {
				return "$", true
			}
			return s.lookup(name)
		})
		if missing != "" {
			return nil, s.unknownVariable(missing, 0)
		}
		out[i] = a
	}
	return out, nil
}
