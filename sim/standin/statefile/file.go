package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Change is a delta of a host.
type Change struct {
	Host  string
	Delta []byte // one JSON value
}

// Loaded is what a file held when it was opened.
type Loaded struct {
	Meta    map[string]string // nil: the file is new
	Changes []Change          // in order
	Torn    int64             // bytes of unfinished records that were cut off
}

// File is an open state file. Its methods may be called from several
// goroutines.
type File struct {
	path string
	meta map[string]string

	mu     sync.Mutex
	synced *sync.Cond // durable or err changed, or syncing ended
	f      *os.File   // nil before the first Rewrite of a new file
	// appended and durable count the records since the file was opened, those
	// that were there included; the number of a record is that less offset,
	// because Rewrite makes the numbers begin again.
	appended, durable, offset int64

	size    int64 // bytes of whole records
	base    int64 // size after the last Rewrite
	syncing bool
	err     error // the file is not to be relied on any more
	stats   Stats
}

// Stats are counters of a File.
type Stats struct {
	Records, Syncs, Rewrites uint64
	Size                     int64 // bytes of the file
}

// Open reads the file at path and prepares it for appending. A file that does
// not exist, or is empty, is new: Rewrite must come before the first Append.
// meta is kept in a new file. An error leaves the file as it is.
func Open(path string, meta map[string]string) (*File, *Loaded, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a new file replaces what is linked to, not the link
	}
	file := &File{path: path, meta: meta}
	file.synced = sync.NewCond(&file.mu)
	f, err := openLocked(path)
	if errors.Is(err, os.ErrNotExist) {
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return nil, nil, fmt.Errorf("%s: its folder does not exist", path)
		}
		return file, &Loaded{}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	loaded, err := file.load(f)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return file, loaded, nil
}

func (file *File) load(f *os.File) (*Loaded, error) {
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		file.f = f
		return &Loaded{}, nil
	}
	c, err := parse(file.path, data)
	if err != nil {
		return nil, err
	}
	if c.torn > 0 {
		if err := f.Truncate(c.valid); err != nil {
			return nil, err
		}
	}
	if _, err := f.Seek(c.valid, io.SeekStart); err != nil {
		return nil, err
	}
	loaded := &Loaded{Meta: c.meta, Torn: c.torn}
	for _, r := range c.records {
		loaded.Changes = append(loaded.Changes, Change{r.Host, r.Delta})
	}
	file.f, file.appended, file.size, file.base = f, int64(len(c.records)), c.valid, c.valid
	return loaded, nil
}

// Append writes a change behind the others. It is not on the disk before Sync
// has returned. After an error the file is as it was before.
func (file *File) Append(c Change) error {
	file.mu.Lock()
	defer file.mu.Unlock()
	if file.err != nil {
		return file.err
	}
	r := record{Seq: uint64(file.appended - file.offset + 1), Durable: uint64(max(0, file.durable-file.offset)), Host: c.Host, Delta: json.RawMessage(c.Delta)}
	line, err := r.line()
	if err != nil {
		return err
	}
	if _, err := file.f.Write(line); err != nil {
		return file.takeBack(err)
	}
	file.appended++
	file.size += int64(len(line))
	file.stats.Records++
	return nil
}

// takeBack removes what a failed write has left: the next record must not
// stand behind half of another.
func (file *File) takeBack(cause error) error {
	err := file.f.Truncate(file.size)
	if err == nil {
		_, err = file.f.Seek(file.size, io.SeekStart)
	}
	if err != nil {
		file.fail(errors.Join(cause, err))
		return file.err
	}
	return file.named(cause)
}

// named says in an error which file it is about. The system's own text may
// have the name under which the file was made.
func (file *File) named(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		err = fmt.Errorf("%s: %w", path.Op, path.Err)
	}
	return fmt.Errorf("state file %s: %w", file.path, err)
}

func (file *File) fail(err error) {
	file.err = fmt.Errorf("%w; no further change is accepted", file.named(err))
	file.synced.Broadcast()
}

// Sync returns when everything that was appended before the call is on the
// disk. An error is for good: nobody knows what the disk holds.
func (file *File) Sync() error {
	file.mu.Lock()
	defer file.mu.Unlock()
	for want := file.appended; file.durable < want && file.err == nil; {
		if file.syncing {
			file.synced.Wait()
			continue
		}
		file.syncing = true
		f, upTo := file.f, file.appended
		file.mu.Unlock()
		err := f.Sync()
		file.mu.Lock()
		file.syncing = false
		file.stats.Syncs++
		if err != nil {
			file.fail(err)
		} else {
			file.durable = max(file.durable, upTo)
		}
		file.synced.Broadcast()
	}
	return file.err
}

// growth is how many bytes may be appended, beyond as many as the file began
// with, before it is worth rewriting.
const growth = 1 << 20

// Grown reports whether the file should be rewritten.
func (file *File) Grown() bool {
	file.mu.Lock()
	defer file.mu.Unlock()
	return file.err == nil && file.size > 2*file.base+growth
}

// Rewrite replaces the contents of the file by whole states, one change a
// host. The caller sees to it that nothing is appended meanwhile. An error in
// writing the new file leaves the old one in use; one in putting it in place
// is for good.
func (file *File) Rewrite(whole []Change) error {
	file.mu.Lock()
	defer file.mu.Unlock()
	for file.syncing {
		file.synced.Wait()
	}
	if file.err != nil {
		return file.err
	}
	f, size, err := file.writeNew(whole)
	if err != nil {
		return file.named(err)
	}
	if file.f, err = replaceLocked(f, file.f, file.path); err != nil {
		file.fail(err)
		return file.err
	}
	file.durable, file.offset = file.appended, file.appended-int64(len(whole))
	file.size, file.base = size, size
	file.stats.Rewrites++
	if err := syncFolder(filepath.Dir(file.path)); err != nil {
		file.fail(err)
	}
	return file.err
}

// writeNew writes a complete file beside the present one.
func (file *File) writeNew(whole []Change) (_ *os.File, size int64, err error) {
	f, err := os.OpenFile(file.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := lock(f); err != nil {
		return nil, 0, err
	}
	out := []byte(header)
	for i := range len(whole) + 1 {
		r := record{Seq: uint64(i), Meta: file.meta}
		if i > 0 {
			r = record{Seq: uint64(i), Host: whole[i-1].Host, Delta: whole[i-1].Delta}
		}
		line, err := r.line()
		if err != nil {
			return nil, 0, err
		}
		out = append(out, line...)
	}
	if _, err := f.Write(out); err != nil {
		return nil, 0, err
	}
	return f, int64(len(out)), f.Sync()
}

// Stats returns the counters of this moment.
func (file *File) Stats() Stats {
	file.mu.Lock()
	defer file.mu.Unlock()
	s := file.stats
	s.Size = file.size
	return s
}

// Close syncs and closes the file.
func (file *File) Close() error {
	err := file.Sync()
	file.mu.Lock()
	defer file.mu.Unlock()
	if file.f == nil {
		return err
	}
	err = errors.Join(err, file.f.Close())
	file.f = nil
	file.err = errors.Join(file.err, os.ErrClosed)
	return err
}

// Err is why no further change is accepted, nil while all is well.
func (file *File) Err() error {
	file.mu.Lock()
	defer file.mu.Unlock()
	return file.err
}
