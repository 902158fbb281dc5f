package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestDoctorRemovesWhatAKilledRunLeft(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the linux backend leaves nothing elsewhere")
	}
	t.Chdir(t.TempDir())
	planted := filepath.Join("hnsim-out", ".hnsim-planted")
	past := time.Now().Add(-time.Hour)
	if err := errors.Join(os.Mkdir("hnsim-out", 0o755), os.WriteFile(planted, nil, 0o644), os.Chtimes(planted, past, past)); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "doctor", "--clean").check(t, 0, "removed file "+planted, "")
	if _, err := os.Stat(planted); !errors.Is(err, os.ErrNotExist) {
		t.Error("it is still there")
	}
	hnsim(t, nil, "doctor", "--clean").check(t, 0, "nothing left behind", "")

	// What cannot be removed is said, with code 3.
	if err := errors.Join(os.MkdirAll(filepath.Join(planted, "full"), 0o755), os.Chtimes(planted, past, past)); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "doctor", "--clean").check(t, 3, "", planted)
	hnsim(t, nil, "doctor", "--clean", "--format", "json").check(t, 3, `"kind": "file"`, planted)
}
