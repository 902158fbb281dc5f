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
	Torn    int64             // bytes of unfinished records, which the first write cuts off
}

// File is an open state file. Its methods may be called from several
// goroutines.
type File struct {
	path string
	meta map[string]string

	mu     sync.Mutex
	synced *sync.Cond // durable or err changed, or syncing ended
	f      *os.File   // nil before the first Rewrite of a new file
	lock   *os.File   // held from Open to Close; nil where there are no locks
	// appended and durable count the records since the file was opened, those
	// that were there included; the number of a record is that less offset,
	// because Rewrite makes the numbers begin again.
	appended, durable, offset int64

	size    int64  // bytes of whole records
	torn    []byte // what a crash left behind those; the next write puts it aside
	base    int64  // size after the last Rewrite
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
// meta is kept in a new file. Until the first Append or Rewrite the file stays as
// it is: the caller may not want it after all. Where the system has flock, a
// second Open before Close fails, for a new file too.
func Open(path string, meta map[string]string) (*File, *Loaded, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a new file replaces what is linked to, not the link
	}
	held, err := lockFor(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s: its folder does not exist", path)
	}
	if err != nil {
		return nil, nil, err
	}
	file := &File{path: path, meta: meta, lock: held}
	file.synced = sync.NewCond(&file.mu)
	loaded, err := file.load()
	if err != nil {
		return nil, nil, errors.Join(err, file.release())
	}
	return file, loaded, nil
}

// load opens and reads the file, if there is one.
func (file *File) load() (*Loaded, error) {
	f, err := os.OpenFile(file.path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return &Loaded{}, nil
	}
	if err != nil {
		return nil, err
	}
	file.f = f
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return &Loaded{}, nil
	}
	c, err := parse(file.path, data)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(c.valid, io.SeekStart); err != nil {
		return nil, err
	}
	loaded := &Loaded{Meta: c.meta, Torn: c.torn}
	for _, r := range c.records {
		loaded.Changes = append(loaded.Changes, Change{r.Host, r.Delta})
	}
	file.appended, file.size, file.base, file.torn = int64(len(c.records)), c.valid, c.valid, data[c.valid:]
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
	if err := file.cutTorn(); err != nil {
		return file.named(err)
	}
	if _, err := file.f.Write(line); err != nil {
		return file.takeBack(err)
	}
	file.appended++
	file.size += int64(len(line))
	file.stats.Records++
	return nil
}

// cutTorn removes the torn end. That is on the disk before anything is written
// in its place: what is left of the end must not follow a whole record.
func (file *File) cutTorn() error {
	if len(file.torn) == 0 {
		return nil
	}
	if err := errors.Join(file.keepTorn(), file.f.Truncate(file.size), file.f.Sync()); err != nil {
		return err
	}
	file.torn = nil
	return nil
}

// keepTorn puts the torn end aside, in TornPath: nobody can tell a change that
// never was on the disk from one that was damaged there.
func (file *File) keepTorn() error {
	if len(file.torn) == 0 {
		return nil
	}
	return os.WriteFile(TornPath(file.path), file.torn, 0o600)
}

// TornPath is where the end that is cut off from the file at path is kept.
func TornPath(path string) string { return path + ".torn" }

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
	if err := file.keepTorn(); err != nil {
		return file.named(err)
	}
	f, size, err := file.writeNew(whole)
	if err != nil {
		return file.named(err)
	}
	if file.f, err = replace(f, file.f, file.path); err != nil {
		file.fail(err)
		return file.err
	}
	file.durable, file.offset = file.appended, file.appended-int64(len(whole))
	file.size, file.base, file.torn = size, size, nil
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
	out := []byte(header)
	for i := range len(whole) + 1 {
		r := record{Seq: uint64(i), Meta: file.meta, Whole: uint64(len(whole))}
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

// Close syncs and closes the file, which others may open then.
func (file *File) Close() error {
	err := file.Sync()
	file.mu.Lock()
	defer file.mu.Unlock()
	if errors.Is(file.err, os.ErrClosed) {
		return err
	}
	file.err = errors.Join(file.err, os.ErrClosed)
	return errors.Join(err, file.release())
}

// release closes what is open, the lock last.
func (file *File) release() error {
	var err error
	for _, f := range []*os.File{file.f, file.lock} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	file.f, file.lock = nil, nil
	return err
}

// Err is why no further change is accepted, nil while all is well.
func (file *File) Err() error {
	file.mu.Lock()
	defer file.mu.Unlock()
	return file.err
}
