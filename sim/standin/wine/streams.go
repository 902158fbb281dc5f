package wine

import (
	"io"
	"os"
	"os/exec"
	"reflect"
	"sync"

	"golang.org/x/term"
)

// streams are what connects a program to readers and writers of this process.
type streams struct {
	childs []*os.File // ends that belong to the program
	out    sync.WaitGroup
}

// connect gives cmd its standard streams. Files are passed on as they are,
// except for terminals; for everything else there is a pipe.
func connect(cmd *exec.Cmd, in io.Reader, out, errOut io.Writer) (*streams, error) {
	s := &streams{}
	stdin, err := s.source(in)
	if err != nil {
		return nil, err
	}
	cmd.Stdin = stdin
	stdout, err := s.sink(out)
	stderr := stdout
	if err == nil && !same(out, errOut) { // two pipes would write to it at once
		stderr, err = s.sink(errOut)
	}
	if err != nil {
		s.started()
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return s, nil
}

func same(a, b io.Writer) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && a == b
}

// direct is v if it is a file that a program can have.
func direct(v any) (*os.File, bool) {
	f, ok := v.(*os.File)
	return f, ok && f != nil && !term.IsTerminal(int(f.Fd()))
}

func (s *streams) source(in io.Reader) (*os.File, error) {
	if f, ok := direct(in); ok {
		return f, nil
	}
	if in == nil {
		f, err := os.Open(os.DevNull)
		s.childs = append(s.childs, f)
		return f, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.childs = append(s.childs, r)
	// Nobody waits for it: a terminal may never give another line.
	go func() {
		_, _ = io.Copy(w, in)
		w.Close()
	}()
	return r, nil
}

func (s *streams) sink(out io.Writer) (*os.File, error) {
	if f, ok := direct(out); ok {
		return f, nil
	}
	if out == nil {
		out = io.Discard
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.childs = append(s.childs, w)
	s.out.Go(func() {
		_, _ = io.Copy(out, r)
		r.Close()
	})
	return w, nil
}

// started closes what belongs to the program: it has it now, or never will.
func (s *streams) started() {
	for _, f := range s.childs {
		f.Close()
	}
}

// wait waits until everything that the program wrote has arrived.
func (s *streams) wait() { s.out.Wait() }
