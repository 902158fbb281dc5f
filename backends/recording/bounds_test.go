package recording

import (
	"bytes"
	"context"
	"errors"
	"sort"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
)

// full is a disk without room.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func TestAFullDiskIsToldAtTheEndAndDisturbsNothing(t *testing.T) {
	w, err := NewWriter(&full{left: 4000}, mkHeader(t))
	if err != nil {
		t.Fatal(err)
	}
	b := Wrap(simulated.Backend{}, w)
	for range 20 {
		world, err := b.Open(context.Background(), backends.WorldConfig{})
		if err != nil {
			t.Fatal(err)
		}
		visit(world)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("got %v", err)
	}
}

// A recording that no reader takes must fail when it is made, and what it has
// up to there must be usable.
func TestWhatNoReaderTakesIsNotWritten(t *testing.T) {
	tests := []struct {
		name  string
		limit int64
		fill  func(*Writer)
		want  string
	}{
		{"a long line", MaxBytes, func(w *Writer) {
			w.add(&record{World: w.open(opening{Scenario: "S-A"}), Call: "Dump", Args: []byte(`"` + strings.Repeat("x", MaxLine) + `"`)})
		}, "Dump of world 1: more than 16 MB in one line"},
		{"a long file", 1 << 15, func(w *Writer) {
			n := w.open(opening{Scenario: "S-A"})
			for range 5000 {
				w.add(&record{World: n, Call: "Advance", Args: []byte("1")})
			}
		}, "Advance of world 1: more than"},
		{"too many worlds", MaxBytes, func(w *Writer) {
			for range MaxWorlds + 1 {
				w.open(opening{Scenario: "S-A"})
			}
		}, "S-A: more than 200000 worlds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var file bytes.Buffer
			w, err := newWriter(&file, mkHeader(t), tt.limit)
			if err != nil {
				t.Fatal(err)
			}
			tt.fill(w)
			var limit *LimitError
			if err := w.Close(); !errors.As(err, &limit) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			var torn *TornError
			if rec, err := read(&file, tt.limit); !errors.As(err, &torn) || len(rec.Worlds["S-A"]) == 0 {
				t.Errorf("what was written before cannot be read: %v", err)
			}
		})
	}
}

// What the writer takes to the last byte, the reader takes.
func TestAFullRecordingIsRead(t *testing.T) {
	const limit, most = 1 << 15, 2000
	header := mkHeader(t)
	call := &record{World: 1, Call: "Advance", Args: []byte("1")}
	write := func(calls int) (*bytes.Buffer, error) {
		var file bytes.Buffer
		w, err := newWriter(&file, header, limit)
		if err != nil {
			t.Fatal(err)
		}
		w.open(opening{Scenario: "S-A"})
		for range calls {
			w.add(call)
		}
		return &file, w.Close()
	}
	fit := sort.Search(most, func(calls int) bool {
		_, err := write(calls + 1)
		return err != nil
	})
	if fit == most {
		t.Fatal("there is no limit")
	}
	// A recording in steps, and all that nearly fill it.
	for calls := 0; calls <= fit; calls++ {
		if calls%50 != 0 && calls < fit-20 {
			continue
		}
		file, err := write(calls)
		if err != nil {
			t.Fatalf("%d calls do not fit, but %d do: %v", calls, fit, err)
		}
		if _, err := read(file, limit); err != nil {
			t.Fatalf("%d calls: %v", calls, err)
		}
	}
}
