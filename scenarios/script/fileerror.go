package script

import (
	"errors"
	"fmt"
)

// FileError is something wrong at a place of a scenario file.
type FileError struct {
	File string
	Line int // 1-based; 0 means the file as a whole
	Msg  string
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// maxErrors bounds what one bad file reports: more says nothing new.
const maxErrors = 20

// problems collects the errors of one file, in order, each once.
type problems struct {
	file string
	list []error
	seen map[string]bool
}

func (p *problems) add(line int, format string, args ...any) {
	e := &FileError{p.file, line, fmt.Sprintf(format, args...)}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	if len(p.list) >= maxErrors || p.seen[e.Error()] {
		return // variants of a matrix repeat the same mistake
	}
	p.seen[e.Error()] = true
	p.list = append(p.list, e)
}

func (p *problems) err() error { return errors.Join(p.list...) }
