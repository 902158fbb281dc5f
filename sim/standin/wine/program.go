package wine

import (
	"debug/pe"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Path is what programs call a file of this machine: wine shows its root as
// drive Z. Slashes lean forward, which Windows takes and JSON needs no escape
// for.
func Path(file string) string { return "Z:" + filepath.ToSlash(file) }

var drivePath = regexp.MustCompile(`^[A-Za-z]:[\\/]`)

// localFolder is where a folder of Windows is on this machine.
func localFolder(dir, prefix string) string {
	if !drivePath.MatchString(dir) {
		return dir
	}
	rest := strings.ReplaceAll(dir[2:], `\`, "/")
	switch dir[0] | 0x20 {
	case 'c':
		return filepath.Join(prefix, "drive_c", rest)
	case 'z':
		return filepath.Clean(rest)
	}
	return dir // which the system will not find
}

// programPath turns what the user called the program into what Windows finds.
// A path of Windows stays, and so does a bare name that is no file here: drive
// C has programs of its own.
func programPath(name, dir string) (string, error) {
	if drivePath.MatchString(name) {
		return name, nil
	}
	file := name
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	found, err := firstFile(file, file+".exe", strings.ReplaceAll(file, `\`, "/"))
	switch {
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, `/\`):
		return name, nil
	case err != nil:
		return "", err
	}
	if err := checkProgram(found); err != nil {
		return "", err
	}
	if found, err = filepath.Abs(found); err != nil {
		return "", err
	}
	return strings.ReplaceAll(Path(found), "/", `\`), nil
}

func firstFile(names ...string) (string, error) {
	for _, n := range names {
		if info, err := os.Stat(n); err == nil && !info.IsDir() {
			return n, nil
		}
	}
	_, err := os.Stat(names[0])
	if err == nil {
		err = &fs.PathError{Op: "exec", Path: names[0], Err: errors.New("is a folder")}
	}
	return "", err
}

// checkProgram says of a file that cannot work here why, which wine does not.
func checkProgram(file string) error {
	f, err := pe.Open(file)
	if err != nil {
		return fmt.Errorf("%s is no Windows program (%v): build it with GOOS=windows", file, err)
	}
	defer f.Close()
	switch {
	case f.Machine == pe.IMAGE_FILE_MACHINE_I386:
		return fmt.Errorf("%s is a 32-bit program: the stand-in's DLLs are 64-bit; build it with GOARCH=amd64", file)
	case f.Machine != pe.IMAGE_FILE_MACHINE_AMD64:
		return fmt.Errorf("%s is for another processor (machine %#04x): expected amd64; build it with GOARCH=amd64", file, f.Machine)
	case f.Characteristics&pe.IMAGE_FILE_DLL != 0:
		return fmt.Errorf("%s is a DLL: expected a program", file)
	}
	return nil
}
