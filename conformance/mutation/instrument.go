package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// mutantEnv chooses the mutation of the build that holds many. Only that build
// reads it.
const mutantEnv = "HNSIM_MUTANT"

// chosen is the variable that holds its value, one in each package: it is
// initialised before anything that calls a changed function.
const chosen = "hnsimMutant"

// switchboard is one build for many mutations: beside every function that some
// of them change stand the changed copies, and the function asks first which of
// them to be. Nothing else of the source differs from the checkout.
type switchboard struct {
	root    string
	sources map[string]*source // by Mutation.File
}

// source is one file of the model with its copies.
type source struct {
	text  string
	file  *ast.File
	fset  *token.FileSet
	edits map[int]edit // by offset in text
	tail  strings.Builder
}

// edit replaces some bytes by a text.
type edit struct {
	skip int
	text string
}

func newSwitchboard(root string) *switchboard {
	return &switchboard{root: root, sources: map[string]*source{}}
}

// add puts a mutation in and reports whether it could: one that changes more
// than the bodies of functions needs a build of its own.
func (b *switchboard) add(m Mutation) (bool, error) {
	s, err := b.source(m.File)
	if err != nil {
		return false, err
	}
	text, err := m.apply(s.text)
	if err != nil {
		return false, err
	}
	broken, err := parse(text)
	if err != nil {
		return false, nil // its own build says what is wrong with it
	}
	changed := s.changed(broken)
	for _, c := range changed {
		if !dispatches(c.was) {
			return false, nil
		}
	}
	for _, c := range changed {
		s.dispatch(m.Name, c.was)
		s.copy(m.Name, broken, c.is)
	}
	return len(changed) > 0, nil
}

func (b *switchboard) source(file string) (*source, error) {
	if s := b.sources[file]; s != nil {
		return s, nil
	}
	text, err := os.ReadFile(filepath.Join(b.root, filepath.FromSlash(file)))
	if err != nil {
		return nil, err
	}
	s, err := parse(string(text))
	if err != nil {
		return nil, err
	}
	b.sources[file] = s
	return s, nil
}

func parse(text string) (*source, error) {
	s := &source{text: text, fset: token.NewFileSet(), edits: map[int]edit{}}
	var err error
	s.file, err = parser.ParseFile(s.fset, "", text, parser.SkipObjectResolution)
	return s, err
}

// apply is the source with the mutation.
func (m *Mutation) apply(src string) (string, error) {
	if n := strings.Count(src, m.Old); n != 1 {
		return "", fmt.Errorf("%s: the text to replace occurs %d times, want once; bring the mutation up to date", m.File, n)
	}
	return strings.Replace(src, m.Old, m.New, 1), nil
}

// change is a function whose body differs, in the checkout and in the mutation.
type change struct{ was, is *ast.FuncDecl }

// changed lists the functions whose bodies differ in other; nil if anything
// else differs, too.
func (s *source) changed(other *source) []change {
	if len(s.file.Decls) != len(other.file.Decls) || s.between(s.file.Package, s.file.Name.End()) != other.between(other.file.Package, other.file.Name.End()) {
		return nil
	}
	var out []change
	for i, d := range s.file.Decls {
		e := other.file.Decls[i]
		if s.between(d.Pos(), d.End()) == other.between(e.Pos(), e.End()) {
			continue
		}
		was, ok := d.(*ast.FuncDecl)
		is, also := e.(*ast.FuncDecl)
		if !ok || !also || was.Body == nil || is.Body == nil ||
			s.between(was.Pos(), was.Body.Lbrace) != other.between(is.Pos(), is.Body.Lbrace) {
			return nil
		}
		out = append(out, change{was, is})
	}
	return out
}

// dispatches reports whether a function can hand its call on.
func dispatches(f *ast.FuncDecl) bool {
	if f.Recv == nil && (f.Name.Name == "init" || f.Name.Name == "main") || f.Name.Name == "_" {
		return false
	}
	if f.Type.TypeParams == nil {
		return true
	}
	return !slices.ContainsFunc(f.Type.TypeParams.List, func(p *ast.Field) bool {
		return slices.ContainsFunc(p.Names, func(n *ast.Ident) bool { return n.Name == "_" })
	})
}

// dispatch lets a function begin by asking for a mutation.
func (s *source) dispatch(name string, f *ast.FuncDecl) {
	call := copyName(name, f)
	if f.Recv != nil {
		call = s.names(f.Recv, "hnsimRecv")[0] + "." + call
	}
	if p := f.Type.TypeParams; p != nil {
		call += "[" + strings.Join(s.names(p, ""), ", ") + "]"
	}
	args := s.names(f.Type.Params, "hnsimArg")
	if n := len(f.Type.Params.List); n > 0 {
		if _, variadic := f.Type.Params.List[n-1].Type.(*ast.Ellipsis); variadic {
			args[len(args)-1] += "..."
		}
	}
	call += "(" + strings.Join(args, ", ") + ")"
	if f.Type.Results == nil || len(f.Type.Results.List) == 0 {
		call += "; return"
	} else {
		call = "return " + call
	}
	at := s.offset(f.Body.Lbrace) + 1
	e := s.edits[at]
	e.text += fmt.Sprintf(" if %s == %q { %s };", chosen, name, call)
	s.edits[at] = e
}

// names lists what a list of parameters is called. Those that have no name get
// one.
func (s *source) names(list *ast.FieldList, prefix string) []string {
	var out []string
	for _, f := range list.List {
		if len(f.Names) == 0 {
			name := fmt.Sprint(prefix, len(out))
			s.edits[s.offset(f.Type.Pos())] = edit{text: name + " "}
			out = append(out, name)
		}
		for _, n := range f.Names {
			name := n.Name
			if name == "_" {
				name = fmt.Sprint(prefix, len(out))
				s.edits[s.offset(n.Pos())] = edit{skip: len(n.Name), text: name}
			}
			out = append(out, name)
		}
	}
	return out
}

// copy adds a function as the mutation has it. What the compiler says about it
// names the mutation as its file.
func (s *source) copy(name string, broken *source, f *ast.FuncDecl) {
	fmt.Fprintf(&s.tail, "\n//line %s:1\n", placeOf(name))
	s.tail.WriteString(broken.between(f.Pos(), f.Name.Pos()))
	s.tail.WriteString(copyName(name, f))
	s.tail.WriteString(broken.between(f.Name.End(), f.End()))
	s.tail.WriteString("\n")
}

// copyName is an identifier for a function as a mutation has it.
func copyName(name string, f *ast.FuncDecl) string {
	return f.Name.Name + "__" + strings.Map(func(r rune) rune {
		if r == '/' || r == '-' {
			return '_'
		}
		return r
	}, name)
}

// placeOf is the file that errors in a mutation's copies name.
func placeOf(name string) string { return "mutant/" + name }

// String is the file with all copies.
func (s *source) String() string {
	at := make([]int, 0, len(s.edits))
	for o := range s.edits {
		at = append(at, o)
	}
	sort.Ints(at)
	var out strings.Builder
	done := 0
	for _, o := range at {
		out.WriteString(s.text[done:o])
		out.WriteString(s.edits[o].text)
		done = o + s.edits[o].skip
	}
	out.WriteString(s.text[done:])
	out.WriteString(s.tail.String())
	return out.String()
}

func (s *source) offset(p token.Pos) int { return s.fset.PositionFor(p, false).Offset }

func (s *source) between(from, to token.Pos) string { return s.text[s.offset(from):s.offset(to)] }

// write puts the files of the build into dir and returns the overlay: the
// checkout's files by what replaces them.
func (b *switchboard) write(dir string) (map[string]string, error) {
	overlay := map[string]string{}
	put := func(file, text string) error {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		overlay[filepath.Join(b.root, filepath.FromSlash(file))] = to
		return os.WriteFile(to, []byte(text), 0o644)
	}
	for file, s := range b.sources {
		if s.tail.Len() == 0 {
			continue
		}
		if err := put(file, s.String()); err != nil {
			return nil, err
		}
		choice := fmt.Sprintf("package %s\n\nimport \"os\"\n\nvar %s = os.Getenv(%q)\n", s.file.Name.Name, chosen, mutantEnv)
		if err := put(path.Join(path.Dir(file), "hnsim_mutant.go"), choice); err != nil {
			return nil, err
		}
	}
	return overlay, nil
}
