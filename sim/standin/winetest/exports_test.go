package winetest

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exportsOf reads the names in a DLL's export table.
func exportsOf(file string) ([]string, error) {
	f, err := pe.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	header, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	if !ok || f.Machine != pe.IMAGE_FILE_MACHINE_AMD64 {
		return nil, fmt.Errorf("%s is not a DLL for amd64", file)
	}
	at := header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT].VirtualAddress
	for _, s := range f.Sections {
		if at == 0 || at < s.VirtualAddress || at >= s.VirtualAddress+s.VirtualSize {
			continue
		}
		data, err := s.Data()
		if err != nil {
			return nil, err
		}
		word := func(rva uint32) uint32 { return binary.LittleEndian.Uint32(data[rva-s.VirtualAddress:]) }
		var names []string
		for i := range word(at + 24) { // NumberOfNames
			name, _, _ := bytes.Cut(data[word(word(at+32)+4*i)-s.VirtualAddress:], []byte{0})
			names = append(names, string(name))
		}
		return names, nil
	}
	return nil, fmt.Errorf("%s exports nothing", file)
}

// contractNames are the functions that a part of contract section A names.
func contractNames(t *testing.T, from, to string, name *regexp.Regexp) []string {
	t.Helper()
	raw, err := os.ReadFile("../../../scenarios/contract/controlplane.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(raw), "\n### "+from)
	part, _, ok2 := strings.Cut(part, "\n### "+to)
	if !ok || !ok2 {
		t.Fatalf("the contract has no part from %s to %s", from, to)
	}
	names := name.FindAllString(part, -1)
	slices.Sort(names)
	return slices.Compact(names)
}

func TestEveryExportOfTheContractIsThere(t *testing.T) {
	b := mkBuilt(t)
	tests := []struct {
		dll   string
		want  []string
		least int
		exact bool
	}{
		{"computenetwork.dll", contractNames(t, "A.2", "A.4", regexp.MustCompile(`\bHcn[A-Z]\w+`)), 55, true},
		{"vmcompute.dll", append(contractNames(t, "A.4", "A.5", regexp.MustCompile(`\bHNSCall\b`)),
			// The calls of v1 attach.
			"HcsOpenComputeSystem", "HcsRegisterComputeSystemCallback", "HcsGetComputeSystemProperties",
			"HcsModifyComputeSystem", "HcsUnregisterComputeSystemCallback", "HcsCloseComputeSystem"), 7, false},
		{"bcryptprimitives.dll", []string{"ProcessPrng"}, 1, true},
	}
	for _, tt := range tests {
		got, err := exportsOf(filepath.Join(b.dlls, tt.dll))
		if err != nil {
			t.Error(err)
			continue
		}
		if len(tt.want) < tt.least {
			t.Errorf("%s: the contract names only %v", tt.dll, tt.want)
		}
		for _, name := range tt.want {
			if !slices.Contains(got, name) {
				t.Errorf("%s does not export %s", tt.dll, name)
			}
		}
		for _, name := range got {
			if tt.exact && !slices.Contains(tt.want, name) && name != "HnsimProbes" { // by which the stand-in is known
				t.Errorf("%s exports %s, which the contract does not know", tt.dll, name)
			}
		}
	}
}
