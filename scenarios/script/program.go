package script

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// Limits of a scenario file. They bound mistakes, not ambitions.
const (
	maxFile  = 1 << 20
	maxLines = 2000
	maxLine  = 16 << 10
)

// program is the parsed script of a scenario.
type program struct {
	lines   []*line // all lines of the script, by number
	files   map[string]*file
	variant *Variant // the one to run; nil before Expand
	// documents are those that the lines send, for tools that check them.
	documents []Document
}

// Parse reads a scenario file and checks all that can be known without a
// backend. The error joins one *FileError for each mistake.
func Parse(fileName string, data []byte) (*Scenario, error) {
	p := &problems{file: fileName}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // as Windows' editors write it
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		p.add(1, "the file is UTF-16, expected UTF-8: write it with Out-File -Encoding utf8")
		return nil, p.err()
	}
	sc := &Scenario{File: fileName, Area: areaOf(fileName), Source: slices.Clone(data), program: &program{}}
	if len(data) > maxFile {
		p.add(0, "%d bytes; a scenario has at most %d", len(data), maxFile)
		return nil, p.err()
	}
	archive := txtar.Parse(data)
	script := string(archive.Comment)
	taken := parseHeader(sc, script, p)
	sc.program.lines = parseLines(script, taken, p)
	sc.program.files = archiveFiles(data, archive, p)
	checkProgram(sc, p)
	if len(p.list) > 0 {
		return nil, p.err()
	}
	return sc, nil
}

// areaOf is the folder of a file.
func areaOf(fileName string) string {
	parts := strings.Split(strings.ReplaceAll(fileName, `\`, "/"), "/")
	if len(parts) < 2 || parts[len(parts)-2] == "." || parts[len(parts)-2] == ".." {
		return ""
	}
	return parts[len(parts)-2]
}

func parseLines(script string, skip int, p *problems) []*line {
	text := strings.TrimSuffix(script, "\n")
	var out []*line
	if text == "" {
		return nil
	}
	for i, s := range strings.Split(text, "\n") {
		s = strings.TrimSuffix(s, "\r")
		switch {
		case i == maxLines:
			p.add(i+1, "more than %d lines of script", maxLines)
			return out
		case len(s) > maxLine || strings.ContainsRune(s, 0):
			p.add(i+1, "a line of %d bytes, or with a zero byte", len(s))
			s = ""
		case i < skip || strings.HasPrefix(strings.TrimSpace(s), "#"):
			s = ""
		}
		l, err := parseLine(i+1, s)
		if err != nil {
			p.add(i+1, "%v", err)
			l = &line{n: i + 1}
		}
		out = append(out, l)
	}
	return out
}

// archiveFiles finds where the archive's files begin; txtar itself does not
// keep that.
func archiveFiles(data []byte, archive *txtar.Archive, p *problems) map[string]*file {
	files := map[string]*file{}
	n := 1 + strings.Count(string(archive.Comment), "\n")
	for _, f := range archive.Files {
		n++ // the marker line
		if old, ok := files[f.Name]; ok {
			p.add(n-1, "file %s is there already, from line %d", f.Name, old.line)
		}
		files[f.Name] = &file{name: f.Name, data: string(f.Data), line: n}
		n += strings.Count(string(f.Data), "\n")
	}
	return files
}

// checkProgram runs every word's parser over the script with stand-ins for what
// only a run can know, once for each variant.
func checkProgram(sc *Scenario, p *problems) {
	variants := make([]*Variant, 0, len(sc.Variants)+1)
	for i := range sc.Variants {
		variants = append(variants, &sc.Variants[i])
	}
	if len(variants) == 0 {
		variants = append(variants, nil)
	}
	for _, v := range variants {
		s := newScope(sc.program.files)
		s.static, s.compared = true, sc.FlowTable
		s.vars[workFolder], s.vars[programFolders] = "Z:/work", "Z:/programs"
		if v != nil {
			for name, value := range v.Values {
				s.vars[name] = value
			}
		}
		if len(sc.Knobs) > 0 {
			s.needs = append(s.needs, "capability:knobs")
		}
		s.documents = sc.program.documents
		words := 0
		for _, l := range sc.program.lines {
			if l.word == "" {
				continue
			}
			words++
			s.line = l
			checkLine(s, l, sc.Variants, p)
		}
		sc.program.documents = s.documents
		sc.ProgramTime = max(sc.ProgramTime, s.programTime)
		if words == 0 {
			p.add(0, "the script has no word: nothing would be tested")
		}
		for _, need := range s.needs {
			if !slices.Contains(sc.Requires, need) {
				sc.Requires = append(sc.Requires, need)
			}
		}
	}
	for _, name := range wordNames(sc.program.files) {
		if f := sc.program.files[name]; !f.used && name != ReachFile {
			p.add(f.line-1, "file %s is not used", name)
		}
	}
}

func checkLine(s *scope, l *line, variants []Variant, p *problems) {
	for _, c := range l.conds {
		if err := checkCondition(c.tag, variants); err != nil {
			p.add(l.n, "%v", err)
		}
	}
	w := findWord(l.word)
	if w == nil {
		hint := didYouMean(l.word, words())
		if hint == "" {
			hint = "; words are " + strings.Join(words(), " ")
		}
		p.add(l.n, "unknown word %s%s", quoteShort(l.word), hint)
		return
	}
	switch {
	case l.maybe && !s.compared:
		p.add(l.n, "? would let the line succeed and fail: say what must happen (only a scenario with \"# checks: %s\" may leave it open)", FlowTableCheck)
	case l.negate && !w.refusable:
		p.add(l.n, "! before %s, which cannot be refused%s", w.name, noneHint(w))
	}
	if _, err := parseWord(w, l, s); err != nil {
		if !s.usesSaved(l) {
			p.add(l.n, "%v", err)
		}
		s.assume(w, l)
	}
	for _, need := range w.needs {
		s.need(need)
	}
}

// usesSaved reports whether a line has a variable of a json line: it may stand
// for anything, so that only the run can say whether the line makes sense.
func (s *scope) usesSaved(l *line) bool {
	for _, t := range l.args {
		saved := false
		t.expand(func(name string) (string, bool) {
			saved = saved || s.saved[name]
			return "", true
		})
		if saved {
			return true
		}
	}
	return false
}

func noneHint(w *word) string {
	switch w.name {
	case "expect", "sent", "wire", "drop":
		return "; write " + w.name + " none"
	}
	return ""
}

// parseWord parses one line in a scope, for a check or for a run.
func parseWord(w *word, l *line, s *scope) (op, error) {
	args, err := s.expandArgs(l.args)
	if err != nil {
		return nil, err
	}
	p := &parser{word: w, args: args, sc: s, line: l}
	o := w.parse(p)
	if p.err == nil {
		p.end()
	}
	return o, p.err
}

// declares says which argument of a word is the name that it declares.
var declares = map[string]struct {
	at   int
	kind kind
}{
	"host": {0, hostKind}, "external": {0, externalKind}, "router": {0, routerKind}, "container": {0, containerKind},
	"network": {1, networkKind}, "endpoint": {0, endpointKind}, "namespace": {1, namespaceKind},
	"adopt": {0, endpointKind}, "loadbalancer": {1, loadbalancerKind}, "route": {1, routeKind},
}

// assume declares what a bad line would have declared, so that one mistake does
// not make every later line one.
func (s *scope) assume(w *word, l *line) {
	d, ok := declares[w.name]
	if !ok || l.negate || len(l.args) <= d.at {
		return
	}
	a, _ := l.args[d.at].expand(s.lookup)
	host := "?"
	if d.at == 1 {
		h, _ := l.args[0].expand(s.lookup)
		host = h.text
	}
	n := &name{kind: d.kind, host: host, line: l.n}
	if slices.Contains(roleKinds, d.kind) || d.kind == endpointKind {
		if _, ok := s.roles[a.text]; !ok && checkName(a.text) == nil {
			role := *n
			if d.kind == endpointKind {
				role.kind = containerKind
			}
			s.roles[a.text] = &role
			s.order = append(s.order, a.text)
		}
	}
	if slices.Contains(objKinds, d.kind) {
		if s.objects[d.kind] == nil {
			s.objects[d.kind] = map[string]*name{}
		}
		if s.objects[d.kind][a.text] == nil {
			s.objects[d.kind][a.text] = n
		}
	}
	for _, v := range []string{"id:", "mac:", "ip:", "ip6:", "dr:"} {
		if _, ok := s.vars[v+a.text]; !ok {
			s.vars[v+a.text] = map[string]string{"mac:": "02-00-00-00-00-01", "ip:": "192.0.2.1", "ip6:": "2001:db8::1"}[v]
		}
	}
}
