package wine

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Find looks for wine. The error says what to install.
func Find() (string, error) {
	if runtime.GOOS == "windows" {
		return "", errors.New("this is Windows: start the program itself")
	}
	for _, name := range []string{"wine64", "wine", "/usr/lib/wine/wine64"} {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", errors.New("no wine: " + WinePackage(Distribution()))
}

// findServer looks for the wineserver that belongs to wine.
func findServer(wine string) (string, error) {
	if real, err := filepath.EvalSymlinks(wine); err == nil {
		wine = real
	}
	for _, name := range []string{"wineserver", filepath.Join(filepath.Dir(wine), "wineserver"), "/usr/lib/wine/wineserver", "/usr/lib/wine/wineserver64"} {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", errors.New("wine is here but no wineserver: " + WinePackage(Distribution()))
}

// Version is what wine says of itself: "wine-8.0 (Debian 8.0~repack-4)".
func Version(ctx context.Context, wine string) (string, error) {
	cmd := exec.CommandContext(ctx, wine, "--version")
	// Debian's script reminds of 32-bit wine on stderr.
	out, err := cmd.Output()
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

// Distribution names the system for WinePackage and CompilerPackage: "debian",
// "fedora", "arch", "darwin" and so on, "" if unknown.
func Distribution() string {
	if runtime.GOOS != "linux" {
		return runtime.GOOS
	}
	raw, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return ""
	}
	return distributionOf(string(raw))
}

// distributionOf reads os-release(5). A derivative counts as what it is like.
func distributionOf(text string) string {
	var ids []string
	for _, key := range []string{"ID=", "ID_LIKE="} {
		for line := range strings.Lines(text) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), key); ok {
				ids = append(ids, strings.Fields(strings.Trim(v, `"'`))...)
			}
		}
	}
	for _, id := range ids {
		if _, known := packages[id]; known {
			return id
		}
	}
	return ""
}

// packages are how to install wine and the compiler, by distribution.
var packages = map[string][2]string{
	"debian": {"apt-get install wine64", "apt-get install gcc-mingw-w64-x86-64"},
	"ubuntu": {"apt-get install wine64", "apt-get install gcc-mingw-w64-x86-64"},
	"fedora": {"dnf install wine-core", "dnf install mingw64-gcc"},
	"arch":   {"pacman -S wine", "pacman -S mingw-w64-gcc"},
	"darwin": {"brew install --cask wine-stable", "brew install mingw-w64"},
}

// WinePackage says how to install wine on a system that Distribution named.
func WinePackage(distribution string) string {
	return remedy(distribution, 0, "wine, 64-bit (the package is wine64 on Debian and Ubuntu, wine-core on Fedora, wine on Arch)")
}

// CompilerPackage says how to install the compiler that builds the DLLs.
func CompilerPackage(distribution string) string {
	return remedy(distribution, 1, "mingw-w64's gcc for x86_64 (gcc-mingw-w64-x86-64 on Debian and Ubuntu, mingw64-gcc on Fedora, mingw-w64-gcc on Arch)")
}

func remedy(distribution string, which int, unknown string) string {
	if p, ok := packages[distribution]; ok {
		return p[which]
	}
	return "install " + unknown
}
