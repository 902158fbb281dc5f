package script

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
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

// problems collects the errors of one file, each once.
type problems struct {
	file string
	list []*FileError
	seen map[FileError]bool
}

func (p *problems) add(line int, format string, args ...any) {
	e := FileError{p.file, line, fmt.Sprintf(format, args...)}
	if p.seen == nil {
		p.seen = map[FileError]bool{}
	}
	if p.seen[e] {
		return // variants of a matrix repeat the same mistake
	}
	p.seen[e] = true
	p.list = append(p.list, &e)
}

// err joins the errors in the order of the file.
func (p *problems) err() error {
	slices.SortStableFunc(p.list, func(a, b *FileError) int { return cmp.Compare(a.Line, b.Line) })
	var list []error
	for i, e := range p.list {
		if i == maxErrors {
			list = append(list, fmt.Errorf("%s: %d more", p.file, len(p.list)-i))
			break
		}
		list = append(list, e)
	}
	return errors.Join(list...)
}
