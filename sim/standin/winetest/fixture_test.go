package winetest

import (
	"bytes"
	"context"
	"fmt"
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

// built is what the tests run, built once.
type built struct{ dlls, check, udp string }

// build builds the DLLs where hnsim exec does, which keeps them until their
// sources change, and the programs in a folder that TestMain removes.
func build(ctx context.Context) (b built, err error) {
	if b.dlls, err = prepared(ctx, &wine.Run{}); err != nil {
		return b, err
	}
	sources, err := filepath.Glob("testdata/check/*.c")
	if err != nil {
		return b, err
	}
	compiler, err := wine.FindCompiler()
	if err != nil {
		return b, err
	}
	b.check, b.udp = filepath.Join(programs, "check.exe"), filepath.Join(programs, "udp.exe")
	flags := []string{"-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-DCINTERFACE", "-o", b.check}
	check := exec.CommandContext(ctx, compiler, append(append(flags, sources...), "-lole32")...)
	udp := exec.CommandContext(ctx, "go", "build", "-o", b.udp, "./testdata/udp")
	udp.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	for _, cmd := range []*exec.Cmd{check, udp} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return b, fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return b, nil
}

// prepared makes wine ready and returns the folder of the DLLs.
func prepared(ctx context.Context, r *wine.Run) (string, error) {
	if err := r.Prepare(ctx); err != nil {
		return "", err
	}
	cache, err := wine.CacheDir()
	if err != nil {
		return "", err
	}
	dir, _, err := wine.ShimsDir(cache)
	return dir, err
}

var (
	programs string // folder
	once     sync.Once
	all      built
	buildErr error
)

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "winetest-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

// mkBuilt builds the programs, or skips the test where the tools are missing.
func mkBuilt(t *testing.T) built {
	t.Helper()
	if testing.Short() {
		t.Skip("runs wine")
	}
	err := new(wine.Run).Missing()
	if err == nil {
		_, err = wine.FindCompiler()
	}
	if err != nil && os.Getenv("HNSIM_REQUIRE_TOOLS") != "1" {
		t.Skip(err)
	}
	once.Do(func() { all, buildErr = build(t.Context()) })
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return all
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
func run(t *testing.T, addr, token string, in io.Reader, out io.Writer, args ...string) *program {
	t.Helper()
	r := wine.Run{OSBuild: hcn.MustProfile(hcn.WS2025).OSBuild, Log: t.Logf,
		Env: []string{"HNSIM_STANDIN_ADDR=" + addr, "HNSIM_STANDIN_TOKEN=" + token, "HNSIM_STANDIN_HOST="}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := &program{}
	if _, p.err = prepared(ctx, &r); p.err != nil {
		return p
	}
	// The prefix is there, and the programs use HNS and sockets: without wine's
	// services and devices they start in a tenth of the time.
	t.Setenv("WINEDLLOVERRIDES", "wineboot.exe,services.exe,explorer.exe=d")
	stdout := io.Writer(&p.out)
	if out != nil {
		stdout = io.MultiWriter(stdout, out)
	}
	for range 3 { // under heavy load wine sometimes does not start a program
		if p.code, p.err = r.Exec(ctx, args, in, stdout, &p.errOut); p.err == nil {
			break
		}
		t.Log(p.err)
	}
	return p
}

// mustPass wants exit code 0 and a word of success.
func (p *program) mustPass(t *testing.T, want string) {
	t.Helper()
	if p.err != nil || p.code != 0 || !strings.Contains(p.out.String(), want) {
		t.Errorf("exit code %d, %v\n%s%s", p.code, p.err, p.out.String(), p.errOut.String())
	}
}
