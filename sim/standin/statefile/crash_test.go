package statefile

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestPowerFailuresLoseNothingThatWasSynced makes what a disk may hold after
// the power has gone: everything up to the last sync, and of what was written
// since, any blocks in any order. The file can be read, and what was synced is
// there.
func TestPowerFailuresLoseNothingThatWasSynced(t *testing.T) {
	const block = 64 // smaller than a disk's, so that records are torn often
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		path := filepath.Join(t.TempDir(), "state")
		f, _, err := Open(path, meta)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Rewrite([]Change{change(0)}); err != nil {
			t.Fatal(err)
		}
		// first is the change that the file begins with, synced the last one on
		// the disk, last the last one written.
		first, synced, last, size := 0, 0, 0, f.Stats().Size
		for range r.IntN(40) {
			switch r.IntN(10) {
			case 0:
				err = f.Rewrite([]Change{change(last)})
				first, synced, size = last, last, f.Stats().Size
			case 1, 2:
				err = f.Sync()
				synced, size = last, f.Stats().Size
			default:
				last++
				err = f.Append(change(last))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		// Nothing after the last sync: a Close would sync.
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.release(); err != nil {
			t.Fatal(err)
		}
		data = data[:size+r.Int64N(int64(len(data))-size+1)]
		for at := size; at < int64(len(data)); at += block {
			if r.IntN(3) == 0 {
				clear(data[at:min(at+block, int64(len(data)))])
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, loaded, err := Open(path, meta)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if n := first + len(loaded.Changes) - 1; n < synced || n > last {
			t.Errorf("seed %d: the file goes up to change %d; %d was synced, %d written", seed, n, synced, last)
		}
		for i, c := range loaded.Changes {
			if want := change(first + i); string(c.Delta) != string(want.Delta) {
				t.Errorf("seed %d: change %d is %s", seed, first+i, c.Delta)
			}
		}
		if err := errors.Join(f.Append(change(last+1)), f.Close()); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}
