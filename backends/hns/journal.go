package hns

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fileJournal is the journal of a run: a file of its own in the folder of this
// machine's journals, with one JSON object a line. It is on the disk before the
// next operation begins, and goes when nothing of the run is left. The run has
// it locked for as long as it lives, which tells it from one that crashed.
type fileJournal struct {
	f    *os.File
	open int // objects that are there
}

// journalFolder is where the journals of this machine are.
func journalFolder() (string, error) {
	if dir := os.Getenv("ProgramData"); dir != "" {
		return filepath.Join(dir, "hnsim", "runs"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place for the journal of what is created: %w", err)
	}
	return filepath.Join(dir, "hnsim", "runs"), nil
}

func newJournal(folder string, tag Tag) (*fileJournal, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(journalFile(folder, tag), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	if !lock(f) {
		return nil, errors.Join(fmt.Errorf("%s cannot be locked", f.Name()), f.Close(), os.Remove(f.Name()))
	}
	return &fileJournal{f: f}, nil
}

// alive reports whether the run of a tag goes on. Without a journal it does not.
func alive(folder string, tag Tag) bool {
	f, err := os.OpenFile(journalFile(folder, tag), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return !lock(f)
}

func journalFile(folder string, tag Tag) string { return filepath.Join(folder, string(tag)+".ndjson") }

func (j *fileJournal) note(m made) error {
	line, err := json.Marshal(m)
	if err == nil {
		_, err = j.f.Write(append(line, '\n'))
	}
	if err == nil {
		err = j.f.Sync()
	}
	if m.Gone {
		j.open--
	} else {
		j.open++
	}
	if err != nil {
		return fmt.Errorf("the journal of this run: %w", err)
	}
	return nil
}

// close ends the journal. It stays as long as something of the run does.
func (j *fileJournal) close() error {
	err := j.f.Close()
	if j.open <= 0 {
		err = errors.Join(err, os.Remove(j.f.Name()))
	}
	return err
}

// readJournals finds what earlier runs have noted and not deleted, by tag. A
// line that was torn by a crash is the last one, and no object: HNS has not
// answered before it was written.
func readJournals(folder string) (map[Tag][]made, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[Tag][]made{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".ndjson")
		if !ok {
			continue
		}
		if out[Tag(name)], err = readJournal(filepath.Join(folder, e.Name())); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readJournal(file string) ([]made, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var left []made
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var m made
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.ID == "" {
			continue
		}
		if m.Gone {
			left = slices.DeleteFunc(left, func(o made) bool { return strings.EqualFold(o.ID, m.ID) })
		} else {
			left = append(left, m)
		}
	}
	return left, lines.Err()
}
