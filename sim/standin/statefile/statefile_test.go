package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var meta = map[string]string{"profile": "ws2025"}

func change(i int) Change {
	return Change{"h1", fmt.Appendf(nil, `{"n":%d,"text":"<a> & ü \n"}`, i)}
}

// mkFile makes a file with n changes behind a whole state, all synced.
func mkFile(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state")
	f, loaded, err := Open(path, meta)
	if err != nil || loaded.Meta != nil {
		t.Fatal(err, loaded)
	}
	if err := f.Rewrite([]Change{change(0)}); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		if err := errors.Join(f.Append(change(i)), f.Sync()); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// open opens and closes a file and returns what it held.
func open(t *testing.T, path string) (*Loaded, error) {
	t.Helper()
	f, loaded, err := Open(path, meta)
	if err == nil {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return loaded, err
}

func wantChanges(t *testing.T, loaded *Loaded, n int) {
	t.Helper()
	if len(loaded.Changes) != n {
		t.Fatalf("%d changes, want %d", len(loaded.Changes), n)
	}
	for i, c := range loaded.Changes {
		if want := change(i); c.Host != want.Host || string(c.Delta) != string(want.Delta) {
			t.Errorf("change %d is %s, want %s", i, c.Delta, want.Delta)
		}
	}
}

func TestChangesComeBackInOrder(t *testing.T) {
	path := mkFile(t, 20)
	loaded, err := open(t, path)
	if err != nil || loaded.Meta["profile"] != "ws2025" || loaded.Torn != 0 {
		t.Fatal(err, loaded)
	}
	wantChanges(t, loaded, 21)
	f, _, err := Open(path, meta)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Append(change(21)), f.Close()); err != nil {
		t.Fatal(err)
	}
	loaded, err = open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	wantChanges(t, loaded, 22)
}

// TestAnyTornEndIsCutOff cuts a file at every byte: what was written before
// the cut is there, and the file goes on from it.
func TestAnyTornEndIsCutOff(t *testing.T) {
	whole, err := os.ReadFile(mkFile(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	begin := len(lines[0]) + len(lines[1]) + len(lines[2])
	for cut := begin; cut <= len(whole); cut++ {
		for _, tail := range []string{"", "\x00\x00\x00", "garbage\nmore"} {
			path := filepath.Join(t.TempDir(), "state")
			if err := os.WriteFile(path, append(append([]byte{}, whole[:cut]...), tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			complete := bytes.Count(whole[:cut], []byte("\n")) - 2
			f, loaded, err := Open(path, meta)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			wantChanges(t, loaded, complete)
			if err := errors.Join(f.Append(change(complete)), f.Close()); err != nil {
				t.Fatal(err)
			}
			end := string(whole[begin+len(bytes.Join(lines[3:complete+2], nil)):cut]) + tail
			if aside, _ := os.ReadFile(TornPath(path)); string(aside) != end {
				t.Fatalf("cut at %d: %q is kept of %q", cut, aside, end)
			}
			if loaded, err = open(t, path); err != nil || loaded.Torn != 0 {
				t.Fatalf("cut at %d, appended: %v", cut, err)
			}
			wantChanges(t, loaded, complete+1)
		}
	}
}

// TestWhatAFileBeganWithCannotBeTorn cuts a file that was rewritten, and flips
// its bytes: all of it was on the disk before the file had its name.
func TestWhatAFileBeganWithCannotBeTorn(t *testing.T) {
	whole, err := os.ReadFile(mkFile(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "state")
	refused := func(what string, at int, broken []byte) {
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, path); err == nil || !strings.Contains(err.Error(), "Nothing was changed") {
			t.Errorf("%s %d: %v", what, at, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, broken) {
			t.Errorf("%s %d: a refused file was changed", what, at)
		}
	}
	for at := 1; at < len(whole); at++ {
		refused("cut at", at, whole[:at])
		broken := bytes.Clone(whole)
		broken[at] ^= 0x01
		refused("flipped", at, broken)
	}
}

// TestDamageIsRefused flips every byte of a file. Wherever a later record
// proves that the damaged one had been acknowledged, the file is refused and
// stays as it is.
func TestDamageIsRefused(t *testing.T) {
	path := mkFile(t, 4)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The last two records are in nobody's durable: the last batch.
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
	proven := len(whole) - len(lines[len(lines)-1]) - 1
	for at := range whole {
		broken := append([]byte{}, whole...)
		broken[at] ^= 0x01
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		loaded, err := open(t, path)
		if at >= proven {
			if err != nil || loaded.Torn == 0 {
				t.Errorf("byte %d, in the last record: %v", at, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("byte %d (%q) is flipped and nobody minds", at, broken[max(0, at-10):min(len(broken), at+10)])
			continue
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, broken) {
			t.Errorf("byte %d: a refused file was changed", at)
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "Nothing was changed") {
			t.Errorf("byte %d: %v", at, err)
		}
	}
}

// TestBlocksWrittenOutOfOrderAreATornEnd has a hole in a batch that was never
// acknowledged.
func TestBlocksWrittenOutOfOrderAreATornEnd(t *testing.T) {
	path := mkFile(t, 2)
	f, _, err := Open(path, meta)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	for i := 3; i < 6; i++ {
		if err := f.Append(change(i)); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	whole, _ := os.ReadFile(path)
	at := bytes.Index(whole, []byte(`"n":3`))
	copy(whole[at:], "\x00\x00\x00\x00\x00")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	wantChanges(t, loaded, 3)
}

func TestForeignFilesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, tt := range []struct{ text, want string }{
		{"{\"Name\":\"nat\"}\n", "not a state file"},
		{"\x7fELF\x00", "not a state file"},
		{"hnsim-state 2\n", `version "2"`},
		{"hnsim-state 1", "version"},
		{"hnsim-state 1\n", "ends after the first line"},
		{"hnsim-state 1\nxx", "line 2"},
	} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", tt.text, err)
		}
		if after, _ := os.ReadFile(path); string(after) != tt.text {
			t.Errorf("%q became %q", tt.text, after)
		}
	}
	if _, err := open(t, filepath.Join(t.TempDir(), "no", "state")); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := open(t, t.TempDir()); err == nil {
		t.Error("a folder is no state file")
	}
}

func TestAnEmptyFileIsNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, loaded, err := Open(path, meta)
	if err != nil || loaded.Meta != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Rewrite([]Change{change(0)}), f.Append(change(1)), f.Close()); err != nil {
		t.Fatal(err)
	}
	loaded, err = open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	wantChanges(t, loaded, 2)
}

func TestALinkStaysALink(t *testing.T) {
	path := mkFile(t, 1)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	f, _, err := Open(link, meta)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Rewrite([]Change{change(0)}), f.Close()); err != nil {
		t.Fatal(err)
	}
	loaded, err := open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	wantChanges(t, loaded, 1)
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
}

func TestOneProcessOnly(t *testing.T) {
	path := mkFile(t, 1)
	f, _, err := Open(path, meta)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 2 {
		if _, _, err := Open(path, meta); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("opened twice: %v", err)
		}
		if err := f.Rewrite([]Change{change(0)}); err != nil { // the new file is locked as well
			t.Fatal(err)
		}
	}
}

// TestOneOfManyGetsANewFile: of those who open a file at the same moment, before
// it is there, one has it, and what it was told is stored stays stored. A lock
// belongs to an open file, so that goroutines stand for processes.
func TestOneOfManyGetsANewFile(t *testing.T) {
	for round := range 100 {
		path := filepath.Join(t.TempDir(), "state")
		const n = 4
		var files [n]*File
		var errs [n]error
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for i := range n {
			wg.Go(func() {
				<-begin
				f, loaded, err := Open(path, meta)
				if err != nil {
					errs[i] = err
					return
				}
				files[i] = f
				if loaded.Meta != nil {
					t.Errorf("round %d: somebody else's file was opened", round)
				}
				if err := errors.Join(f.Rewrite([]Change{change(0)}), f.Append(change(1)), f.Sync()); err != nil {
					t.Errorf("round %d: what was opened cannot be used: %v", round, err)
				}
			})
		}
		close(begin)
		wg.Wait()
		opened := 0
		for i := range n {
			if files[i] != nil {
				opened++
				if err := files[i].Close(); err != nil {
					t.Error(err)
				}
			} else if !strings.Contains(errs[i].Error(), "another process is using this state file") {
				t.Errorf("round %d: %v", round, errs[i])
			}
		}
		if opened != 1 {
			t.Fatalf("round %d: %d have the file", round, opened)
		}
		loaded, err := open(t, path)
		if err != nil {
			t.Fatal(err)
		}
		wantChanges(t, loaded, 2)
	}
}

// TestATornFileStaysAsItIsUntilItIsWritten: who opens it may find that it is not
// the one that was meant.
func TestATornFileStaysAsItIsUntilItIsWritten(t *testing.T) {
	path := mkFile(t, 2)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(whole, "6f1d9a3c 41 {\"seq\":4"...)
	if err := os.WriteFile(path, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		loaded, err := open(t, path)
		if err != nil || loaded.Torn != int64(len(torn)-len(whole)) {
			t.Fatalf("%v %+v", err, loaded)
		}
		wantChanges(t, loaded, 3)
		if after, _ := os.ReadFile(path); !bytes.Equal(after, torn) {
			t.Fatal("opening and closing has changed it")
		}
	}
}

// TestWritersAtOnce appends and syncs from many goroutines while the file is
// rewritten again and again.
func TestWritersAtOnce(t *testing.T) {
	path := mkFile(t, 0)
	f, _, err := Open(path, meta)
	if err != nil {
		t.Fatal(err)
	}
	var world sync.Mutex // stands for the lock that keeps Rewrite and Append apart
	n := 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				world.Lock()
				n++
				err := f.Append(Change{"h1", fmt.Appendf(nil, "%d", n)})
				if i%20 == 0 {
					err = errors.Join(err, f.Rewrite([]Change{{"h1", fmt.Appendf(nil, "%d", n)}}))
				}
				world.Unlock()
				if err := errors.Join(err, f.Sync()); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	s := f.Stats()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	loaded, err := open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	last := loaded.Changes[len(loaded.Changes)-1].Delta
	if string(last) != "800" || s.Records != 800 || s.Rewrites != 48 {
		t.Errorf("the last change is %s; %+v", last, s)
	}
}

func TestAFileThatCannotGrowSaysSoAndStaysWhole(t *testing.T) {
	path := mkFile(t, 1)
	f, _, err := Open(path, meta)
	if err != nil {
		t.Fatal(err)
	}
	good := f.f
	bad, err := os.Open(path) // not for writing: every write fails
	if err != nil {
		t.Fatal(err)
	}
	f.f = bad
	if err := f.Append(change(2)); err == nil || !strings.Contains(err.Error(), "state file "+path+": write: ") {
		t.Errorf("a write that fails: %v", err)
	}
	f.f = good
	if err := f.Append(change(2)); err == nil || !strings.Contains(err.Error(), "no further change") {
		t.Errorf("what could not be taken back is forgotten: %v", err)
	}
	bad.Close()
	f.Close()
	loaded, err := open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	wantChanges(t, loaded, 2)
}

func TestItGrowsUntilItIsRewritten(t *testing.T) {
	path := mkFile(t, 0)
	f, _, err := Open(path, meta)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	big := Change{"h1", []byte(`"` + strings.Repeat("x", 1<<18) + `"`)}
	for i := 0; !f.Grown(); i++ {
		if err := f.Append(big); err != nil || i > 10 {
			t.Fatal(i, err)
		}
	}
	if err := f.Rewrite([]Change{change(0)}); err != nil {
		t.Fatal(err)
	}
	if f.Grown() || f.Stats().Size > 1000 {
		t.Errorf("after the rewrite: %+v", f.Stats())
	}
}

func FuzzParse(f *testing.F) {
	line := func(r record) string { b, _ := r.line(); return string(b) }
	good := header + line(record{Meta: meta}) + line(record{Seq: 1, Host: "h1", Delta: []byte(`{"a":1}`)}) + line(record{Seq: 2, Durable: 1, Host: "h1", Delta: []byte(`{}`)})
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, "h1", "h2", 1)))
	f.Add([]byte(header))
	f.Add([]byte("hnsim-state 2\n"))
	f.Add([]byte(good[:len(good)-3]))
	f.Add([]byte(header + "00000000 99999999999999999999 {}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse("state", data)
		if err != nil {
			return
		}
		if c.valid+c.torn != int64(len(data)) || c.meta == nil {
			t.Fatalf("%d + %d bytes of %d", c.valid, c.torn, len(data))
		}
		again, err := parse("state", data[:c.valid])
		if err != nil || again.torn != 0 || len(again.records) != len(c.records) {
			t.Fatalf("what is left after the torn end was cut off: %v", err)
		}
	})
}
