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
// C has programs of its own. Relative names are looked for in this process's
// current folder, and then in dir, the program's.
func programPath(name, dir string) (string, error) {
	if drivePath.MatchString(name) {
		return name, nil
	}
	names := spellings(name)
	if !filepath.IsAbs(name) && dir != "" {
		names = append(names, spellings(filepath.Join(dir, name))...)
	}
	found, err := firstFile(names...)
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

// spellings are the files that a name may mean.
func spellings(file string) []string {
	return []string{file, file + ".exe", strings.ReplaceAll(file, `\`, "/")}
}

// firstFile is the first of the names that is a file. The error is about a
// folder among them, or about the first name.
func firstFile(names ...string) (string, error) {
	var folder error
	for _, n := range names {
		info, err := os.Stat(n)
		switch {
		case err != nil:
		case !info.IsDir():
			return n, nil
		case folder == nil:
			folder = &fs.PathError{Op: "exec", Path: n, Err: errors.New("is a folder")}
		}
	}
	if folder != nil {
		return "", folder
	}
	_, err := os.Stat(names[0])
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
