package wine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/hnsim/hnsim/sim/standin"
)

// shims is where below system32 each of them goes: DLLs where alone clients
// look for them, PowerShell where the path of Windows leads to.
var shims = map[string]string{
	"computenetwork.dll":   ".",
	"vmcompute.dll":        ".",
	"bcryptprimitives.dll": ".",
	"powershell.exe":       "WindowsPowerShell/v1.0",
}

// starter runs the program; see shim/start.c.
const starter = "hnsim-start.exe"

// FindCompiler looks for the compiler of the DLLs. The error says what to
// install.
func FindCompiler() (string, error) {
	name := os.Getenv("MINGW_CC")
	if name == "" {
		name = "x86_64-w64-mingw32-gcc"
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("no %s: %s", name, CompilerPackage(Distribution()))
	}
	return p, nil
}

// shimsID identifies the embedded sources.
func shimsID() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(standin.Shims, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := standin.Shims.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(raw), raw)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:12], err
}

// ShimsDir is the folder in cache where this version's DLLs are, or will be
// once they are built.
func ShimsDir(cache string) (dir string, built bool, err error) {
	id, err := shimsID()
	if err != nil {
		return "", false, err
	}
	dir = filepath.Join(cache, "dlls-"+id)
	return dir, checkShims(dir) == nil, nil
}

// checkShims says what a folder with DLLs lacks.
func checkShims(dir string) error {
	for _, n := range append(slices.Collect(maps.Keys(shims)), starter) {
		if _, err := os.Stat(filepath.Join(dir, n)); err != nil {
			return err
		}
	}
	return nil
}

// givenShims checks the folder that the user named.
func (r *Run) givenShims() error {
	if err := checkShims(r.DLLs); err != nil {
		return fmt.Errorf("%w: build the DLLs with make standin, or leave out --dlls", err)
	}
	return nil
}

// shims finds the folder with the DLLs, and builds them if it is the cache's.
func (r *Run) shims(ctx context.Context, cache string) (string, error) {
	if r.DLLs != "" {
		if err := r.givenShims(); err != nil {
			return "", err
		}
		return filepath.Abs(r.DLLs)
	}
	dir, built, err := ShimsDir(cache)
	if err != nil || built {
		return dir, err
	}
	if _, err := FindCompiler(); err != nil {
		return "", fmt.Errorf("the stand-in's DLLs must be built once, and there is %w", err)
	}
	r.talk("building the DLLs, once\n")
	return dir, buildShims(ctx, dir)
}

// buildShims builds the DLLs beside their place and renames the folder, so
// that the place is never half full.
func buildShims(ctx context.Context, dir string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.CopyFS(tmp, standin.Shims); err != nil {
		return err
	}
	out := filepath.Join(tmp, "out")
	cmd := exec.CommandContext(ctx, "sh", filepath.Join(tmp, "shim", "build.sh"), out)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the DLLs: %w\n%s", err, text)
	}
	if err := os.Rename(out, dir); err != nil && checkShims(dir) != nil {
		return err // and not because another run was faster
	}
	return nil
}

// install copies the files that differ into a drive C. A copy is renamed into
// place: a program that runs keeps what it has.
func install(from, driveC string) error {
	system32 := filepath.Join(driveC, "windows", "system32")
	for name, folder := range shims {
		dir := filepath.Join(system32, filepath.FromSlash(folder))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := installFile(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func installFile(from, to string) error {
	want, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(to); err == nil && string(have) == string(want) {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(want)
	err = errors.Join(err, tmp.Chmod(0o755), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
