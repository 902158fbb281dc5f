package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/hns"
	"github.com/hnsim/hnsim/backends/linux"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/backends/spread"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/terminal"
	"github.com/hnsim/hnsim/sim/standin/hostnet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default is back: a second one ends at once,
	// unless a verb listens for it too.
	context.AfterFunc(ctx, stop)
	a := newApp(os.Stdout, os.Stderr, os.Getenv)
	a.isolate = linux.Isolate
	a.reexec = hostnet.Reexec
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// app is what the verbs share: streams, environment, clock, backends. Tests
// make their own.
type app struct {
	out, err terminal.Stream
	env      func(string) string
	now      func() time.Time
	backends map[string]backends.Backend
	// isolate runs the program again in a place of its own, for the backend
	// that needs one; nil in tests.
	isolate func(context.Context) (code int, ran bool, err error)
	opts    commonOptions
	// reexec starts this program again with more privileges; nil: it cannot.
	reexec func() error
	// ctx is the program's: what takes time to begin ends with it.
	ctx  context.Context
	beds map[string]*spread.Backend // test beds that are connected, by file
}

// commonOptions are the flags of every verb.
type commonOptions struct {
	format  string
	color   string
	quiet   bool
	verbose bool
}

func newApp(stdout, stderr io.Writer, env func(string) string) *app {
	out := terminal.NewStream(stdout, env)
	out.Writer = &sticky{Writer: out.Writer}
	return &app{
		out: out, err: terminal.NewStream(stderr, env),
		env: env, now: time.Now, ctx: context.Background(), beds: map[string]*spread.Backend{},
		backends: map[string]backends.Backend{"sim": simulated.Backend{}, "linux": linux.Backend{}, "hns": hns.Backend{}},
	}
}
