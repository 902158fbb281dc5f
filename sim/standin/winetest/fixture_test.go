package winetest

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/wine"
)

const compiler = "x86_64-w64-mingw32-gcc"

// built is what the tests run, built once.
type built struct{ dlls, check, udp string }

var build = sync.OnceValues(func() (built, error) {
	dir, err := os.MkdirTemp("", "winetest-")
	if err != nil {
		return built{}, err
	}
	b := built{dlls: filepath.Join(dir, "dlls"), check: filepath.Join(dir, "check.exe"), udp: filepath.Join(dir, "udp.exe")}
	sources, err := filepath.Glob("testdata/check/*.c")
	if err != nil {
		return b, err
	}
	flags := []string{"-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-DCINTERFACE", "-o", b.check}
	udp := exec.Command("go", "build", "-o", b.udp, "./testdata/udp")
	udp.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	for _, cmd := range []*exec.Cmd{
		exec.Command("../shim/build.sh", b.dlls),
		exec.Command(compiler, append(append(flags, sources...), "-lole32")...),
		udp,
	} {
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			return b, &buildError{cmd.String(), out, err}
		}
	}
	return b, nil
})

type buildError struct {
	command string
	out     []byte
	err     error
}

func (e *buildError) Error() string { return e.command + ": " + string(e.out) }

func TestMain(m *testing.M) {
	code := m.Run()
	if b, err := build(); err == nil || b.dlls != "" {
		os.RemoveAll(filepath.Dir(b.dlls))
	}
	os.Exit(code)
}

// mkBuilt builds the programs, or skips the test where the tools are missing.
func mkBuilt(t *testing.T) built {
	t.Helper()
	_, err := wine.Find()
	if err == nil {
		_, err = exec.LookPath(compiler)
	}
	if err != nil {
		if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: install wine64 and gcc-mingw-w64-x86-64", err)
	}
	b, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mkServer starts a server of a fresh host, at addr if it is not empty.
func mkServer(t *testing.T, addr, token string) *standin.Server {
	t.Helper()
	var s *standin.Server
	service, err := hns.New(hns.Config{
		HostName: "h1", Profile: hcn.MustProfile(hcn.WS2025), Seed: 1,
		Uplinks: []hns.Uplink{{Name: "Ethernet", MAC: [6]byte{0, 0x15, 0x5D, 1, 2, 3}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.127.130.35/24")}}},
		Notify:  func(n hns.Notification) { s.Notify("h1", n) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if s, err = standin.Listen(standin.Config{Hosts: []standin.Host{{Name: "h1", HNS: service}}, Listen: addr, Token: token}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		_ = s.Close() // again where a test closed it
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// program is a run of a Windows program.
type program struct {
	code        int
	err         error
	out, errOut bytes.Buffer
}

// run runs a program against a server that it finds at addr with token.
func run(t *testing.T, b built, addr, token string, in io.Reader, out io.Writer, args ...string) *program {
	t.Helper()
	r := wine.Run{DLLs: b.dlls, OSBuild: hcn.MustProfile(hcn.WS2025).OSBuild, Log: t.Logf,
		Env: []string{"HNSIM_STANDIN_ADDR=" + addr, "HNSIM_STANDIN_TOKEN=" + token, "HNSIM_STANDIN_HOST="}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := &program{}
	if p.err = r.Prepare(ctx); p.err != nil {
		return p
	}
	// The prefix is there, and the programs use HNS and sockets: without wine's
	// services and devices they start in a tenth of the time.
	t.Setenv("WINEDLLOVERRIDES", "wineboot.exe,services.exe,explorer.exe=d")
	stdout := io.Writer(&p.out)
	if out != nil {
		stdout = io.MultiWriter(stdout, out)
	}
	p.code, p.err = r.Exec(ctx, args, in, stdout, &p.errOut)
	return p
}

// mustPass wants exit code 0 and a word of success.
func (p *program) mustPass(t *testing.T, want string) {
	t.Helper()
	if p.err != nil || p.code != 0 || !strings.Contains(p.out.String(), want) {
		t.Errorf("exit code %d, %v\n%s%s", p.code, p.err, p.out.String(), p.errOut.String())
	}
}
