package wine

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mkPE writes the head of a Windows program.
func mkPE(t *testing.T, file string, machine, characteristics uint16) {
	t.Helper()
	raw := make([]byte, 0x40, 0x200)
	copy(raw, "MZ")
	raw[0x3C] = 0x40
	raw = append(raw, "PE\x00\x00"...)
	raw = binary.LittleEndian.AppendUint16(raw, machine)
	raw = append(raw, make([]byte, 16)...)
	raw = binary.LittleEndian.AppendUint16(raw, characteristics)
	raw = append(raw, make([]byte, 256)...)
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestProgramsAreFoundAndChecked(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(at("in here"), 0o755); err != nil {
		t.Fatal(err)
	}
	mkPE(t, at("good.exe"), 0x8664, 0x22)
	mkPE(t, at("in here/good one.exe"), 0x8664, 0x22)
	mkPE(t, at("old.exe"), 0x014C, 0x22)
	mkPE(t, at("arm.exe"), 0xAA64, 0x22)
	mkPE(t, at("lib.dll"), 0x8664, 0x2022)
	if err := os.WriteFile(at("script"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	windows := func(name string) string { return `Z:` + strings.ReplaceAll(at(name), "/", `\`) }
	tests := []struct{ name, want, err string }{
		{"good.exe", windows("good.exe"), ""},
		{"./good", windows("good.exe"), ""},
		{at("in here/good one.exe"), windows("in here/good one.exe"), ""},
		{`in here\good one.exe`, windows("in here/good one.exe"), ""},
		{`C:\windows\system32\cmd.exe`, `C:\windows\system32\cmd.exe`, ""},
		{"cmd", "cmd", ""},
		{"./none.exe", "", "no such file"},
		{"in here", "", "is a folder"},
		{"old.exe", "", "32-bit"},
		{"arm.exe", "", "another processor"},
		{"lib.dll", "", "is a DLL"},
		{"script", "", "no Windows program"},
	}
	for _, tt := range tests {
		got, err := programPath(tt.name, dir)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q, %v; want %q, %q", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestRelativeProgramsAreFoundHereBeforeTheirOwnFolder(t *testing.T) {
	here, other := t.TempDir(), t.TempDir()
	t.Chdir(here)
	mkPE(t, filepath.Join(here, "a.exe"), 0x8664, 0x22)
	mkPE(t, filepath.Join(other, "a.exe"), 0x8664, 0x22)
	mkPE(t, filepath.Join(other, "b.exe"), 0x8664, 0x22)
	for name, dir := range map[string]string{"./a.exe": here, "a": here, "./b.exe": other} {
		want := strings.ReplaceAll("Z:"+filepath.Join(dir, strings.TrimSuffix(filepath.Base(name), ".exe")+".exe"), "/", `\`)
		if got, err := programPath(name, other); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		said    string
		stopped bool
		want    int
		err     string
	}{
		{"x00000000\n", false, 0, ""},
		{"x80070490\n", false, 0x80070490, ""},
		{"x00000007\n", true, 7, ""},
		{"", true, Interrupted, ""},
		{"", false, 0, "wine ended before"},
		{"x0000", false, 0, "wine ended before"},
		{"e00000002\n", false, 0, "no such program"},
		{"e000000c1\n", false, 0, "no 64-bit program"},
		{"e00000005\n", false, 0, "error 5 of Windows"},
	}
	for _, tt := range tests {
		got, err := outcome("p.exe", tt.said, tt.stopped, nil)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %#x, %v", tt.said, got, err)
		}
	}
}

func TestRemediesNameThePackageOfTheSystem(t *testing.T) {
	tests := []struct{ release, wine, compiler string }{
		{"NAME=\"Debian GNU/Linux\"\nID=debian\n", "apt-get install wine64", "apt-get install gcc-mingw-w64-x86-64"},
		{"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt-get install wine64", "apt-get install gcc-mingw-w64-x86-64"},
		{"ID='fedora'\n", "dnf install wine-core", "dnf install mingw64-gcc"},
		{"ID=manjaro\nID_LIKE=arch\n", "pacman -S wine", "pacman -S mingw-w64-gcc"},
		{"ID=plan9\n", "wine64 on Debian and Ubuntu", "gcc-mingw-w64-x86-64 on Debian and Ubuntu"},
		{"", "wine64 on Debian and Ubuntu", "gcc-mingw-w64-x86-64 on Debian and Ubuntu"},
	}
	for _, tt := range tests {
		d := distributionOf(tt.release)
		if w, c := WinePackage(d), CompilerPackage(d); !strings.Contains(w, tt.wine) || !strings.Contains(c, tt.compiler) {
			t.Errorf("%q: %q, %q", tt.release, w, c)
		}
	}
}

func TestShimsAreInstalledAndReplaced(t *testing.T) {
	from, driveC := t.TempDir(), t.TempDir()
	system32 := filepath.Join(driveC, "windows", "system32")
	if err := os.MkdirAll(system32, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		for n := range shims {
			if err := os.WriteFile(filepath.Join(from, n), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := install(from, driveC); err != nil {
			t.Fatal(err)
		}
		for n, folder := range shims {
			if have, err := os.ReadFile(filepath.Join(system32, folder, n)); err != nil || string(have) != text {
				t.Errorf("%s: %q, %v", n, have, err)
			}
		}
	}
	left, _ := os.ReadDir(system32)
	inFolder, _ := os.ReadDir(filepath.Join(system32, shims["powershell.exe"]))
	if len(left) != len(shims) || len(inFolder) != 1 { // the folder of one of them stands for it
		t.Errorf("%v and %v are in system32, want %v", left, inFolder, shims)
	}
}
