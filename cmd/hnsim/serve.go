package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/keep"
	"github.com/hnsim/hnsim/sim/standin/rest"
	"github.com/hnsim/hnsim/sim/standin/statefile"
)

type serveFlags struct {
	standinFlags
	tokenFile, state    string
	logFormat, logLevel string
	allowRemote, reboot bool
	keepToken           bool
}

func (a *app) serveCmd() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "serve the model's HNS to Windows programs under wine, and over HTTP",
		Long: `Serve the HNS of simulated hosts until interrupted (SIGINT or SIGTERM; exit code 0).
One port takes Windows programs, started with hnsim exec --server, and HTTP: GET /
lists what there is. The address and the token that clients need go into a file that
only its owner can read.

With --state the objects of HNS outlive the service as they outlive a restart of
Windows' HNS: every change is on the disk before it is acknowledged. What comes back
depends on the profile (knob hnsRestart); --reboot restarts the hosts instead.

--topology FILE describes hosts, routers, external machines and links in JSON, such as
` + topologyExample,
		Example: `  hnsim serve --listen 127.0.0.1:7790 --state hns.state
  curl -H "Authorization: Bearer $(cut -d' ' -f2 hnsim-standin.txt)" http://127.0.0.1:7790/v1/networks`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.runServe(c.Context(), &f) },
	}
	flags := c.Flags()
	f.add(flags)
	flags.StringVar(&f.tokenFile, "token-file", "hnsim-standin.txt", "`file` for address and token")
	flags.BoolVar(&f.keepToken, "keep-token", false, "use the token that the token file has, and leave the file behind: programs go on after a restart on the same port")
	flags.StringVar(&f.state, "state", "", "`file` that keeps the objects over a restart; made if it is not there")
	flags.BoolVar(&f.reboot, "reboot", false, "with --state: come back as after a reboot of the hosts")
	flags.BoolVar(&f.allowRemote, "allow-remote", false, "let --listen be an address that is not loopback; the token crosses the network in the clear")
	flags.StringVar(&f.logFormat, "log-format", "text", "form of the log on stderr: `text|json`")
	flags.StringVar(&f.logLevel, "log-level", "info", "least `level` to log: debug, info, warn or error; a refused call is a warning")
	return c
}

// served is what serve adds to a stand-in.
type served struct {
	log    *slog.Logger
	watch  rest.Watch
	http   *rest.Server
	keeper *keep.Keeper // nil without --state
	done   chan error
}

func (a *app) runServe(ctx context.Context, f *serveFlags) error {
	if f.reboot && f.state == "" {
		return errors.New("--reboot needs --state: without it the hosts are new anyway")
	}
	log, err := a.logger(f.logFormat, f.logLevel)
	if err != nil {
		return err
	}
	v := &served{log: log, done: make(chan error, 1)}
	s, err := a.startStandin(&f.standinFlags, standinExtras{
		world:  v.watch.Hook,
		server: func(w *sim.World, cfg *standin.Config) error { return v.extend(f, w, cfg) },
		stop:   v.shutdown,
	})
	if err != nil {
		return errors.Join(err, v.close())
	}
	go func() { v.done <- v.http.Serve(s.Server) }()
	err = a.serve(ctx, s, f)
	return exit.With(exit.NotTested, errors.Join(err, s.stop(), v.close()))
}

// extend adds HTTP, the log and the state file to a stand-in.
func (v *served) extend(f *serveFlags, w *sim.World, cfg *standin.Config) error {
	cfg.AllowRemote = f.allowRemote
	if f.keepToken {
		token, err := oldToken(f.tokenFile)
		if err != nil {
			return err
		}
		cfg.Token = token
	}
	restCfg := rest.Config{World: w, Watch: &v.watch, Log: v.log}
	if f.state != "" {
		k, rep, err := keep.Open(keep.Config{Path: f.state, World: w, Reboot: f.reboot})
		if err != nil {
			return exit.With(exit.NotTested, err)
		}
		v.keeper = k
		v.logReport(f.state, rep)
		restCfg.StateFile, restCfg.Healthy, cfg.Durable = k.Stats, k.Err, k.Sync
		before := cfg.Before
		cfg.Before = func() {
			before()
			if err := k.Tidy(); err != nil {
				v.log.Warn("the state file could not be rewritten; it goes on growing", "error", err)
			}
		}
	}
	v.http = rest.New(restCfg)
	cfg.HTTP = v.http.Take
	record := cfg.OnCall
	cfg.OnCall = func(c standin.Call) {
		record(c)
		v.http.OnCall(c)
		v.logCall(&c)
	}
	return nil
}

// oldToken reads the token of an earlier service, "" if there was none.
func oldToken(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	words := strings.Fields(string(raw))
	if err == nil && len(words) != 2 {
		err = fmt.Errorf("--keep-token: %s does not have an address and a token: remove it, or name another file with --token-file", file)
	}
	if err != nil {
		return "", err
	}
	return words[1], nil
}

func (v *served) logReport(path string, rep *keep.Report) {
	if rep.New {
		v.log.Info("new state file", "file", path)
		return
	}
	if len(rep.Absent) > 0 {
		v.log.Info("the state file does not know all hosts: they begin empty", "hosts", strings.Join(rep.Absent, " "))
	}
	v.log.Info("state restored", "file", path, "kept", rep.Kept.String(), "found", rep.Found.String())
	if rep.Torn > 0 {
		v.log.Warn("the end of the state file cannot be read, as after a crash in the middle of a change: cut off", "bytes", rep.Torn, "keptIn", statefile.TornPath(path))
	}
}

// shutdown ends HTTP: requests that are under way get a while to finish.
func (v *served) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(v.http.Shutdown(ctx), <-v.done)
}

func (v *served) close() error {
	if v.keeper == nil {
		return nil
	}
	return v.keeper.Close()
}

// writePrivately replaces a file, whole, by one that only its owner can read,
// whoever could read or open the old one. A link is replaced, not followed.
func writePrivately(file, text string) error {
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() && info.Mode().Type() != os.ModeSymlink {
		return fmt.Errorf("%s is there and is no file (%s): name another one", file, info.Mode())
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func (a *app) serve(ctx context.Context, s *service, f *serveFlags) error {
	if err := writePrivately(f.tokenFile, s.Addr()+" "+s.Token()+"\n"); err != nil {
		return exit.With(exit.Usage, fmt.Errorf("--token-file: %w", err))
	}
	if !f.keepToken {
		defer os.Remove(f.tokenFile)
	}
	if a.opts.format == "json" {
		if err := a.json(map[string]string{"address": s.Addr(), "tokenFile": f.tokenFile}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "address     %s\ntoken file  %s\ntry         curl -H \"Authorization: Bearer $(cut -d' ' -f2 %s)\" http://%s/\n",
			s.Addr(), f.tokenFile, f.tokenFile, s.Addr())
	}
	<-ctx.Done()
	st := s.Stats()
	a.talk("%d calls, %d connections refused, %d handles leaked\n", st.Calls, st.Refused, st.Leaked+uint64(st.Handles))
	return nil
}

// logger makes the log of the flags on stderr.
func (a *app) logger(format, level string) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil || strings.ContainsAny(level, "+-") {
		return nil, fmt.Errorf("--log-level is %q: expected debug, info, warn or error", level)
	}
	opts.Level = l
	if a.opts.quiet {
		opts.Level = slog.LevelError
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(a.err, &opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.err, &opts)), nil
	}
	return nil, fmt.Errorf("--log-format is %q: expected text or json", format)
}

// refusal is why a call was refused, "" if it was not. HNSCall says so in its
// result, with an HRESULT that is none.
func refusal(c *standin.Call) string {
	if c.HResult == "0x00000000" && (c.Function != "HNSCall" || !strings.HasPrefix(c.Result, `{"Success":false`)) {
		return ""
	}
	var doc struct{ Error string }
	_ = json.Unmarshal([]byte(cmp.Or(c.Error, c.Result)), &doc)
	return cmp.Or(strings.TrimSpace(doc.Error), "HRESULT "+c.HResult)
}

// maxLogged bounds the documents in a debug log.
const maxLogged = 2048

// logCall logs a call: a refused one as a warning, documents at debug only.
func (v *served) logCall(c *standin.Call) {
	level, refused := slog.LevelInfo, refusal(c)
	if refused != "" {
		level = slog.LevelWarn
	}
	ctx := context.Background()
	if !v.log.Enabled(ctx, level) {
		return
	}
	id := cmp.Or(c.GUID, c.NewID, c.On)
	attrs := []slog.Attr{slog.String("fn", c.Function), slog.String("via", cmp.Or(c.Via, "dll")), slog.String("host", c.Host),
		slog.String("id", id), slog.String("hresult", c.HResult), slog.Duration("took", c.Took)}
	if c.Session != 0 {
		attrs = append(attrs, slog.Uint64("session", c.Session))
	}
	if refused != "" {
		attrs = append(attrs, slog.String("error", refused))
	}
	if v.log.Enabled(ctx, slog.LevelDebug) {
		for i, arg := range c.Args {
			attrs = append(attrs, slog.String(fmt.Sprintf("arg%d", i), arg[:min(len(arg), maxLogged)]))
		}
	}
	v.log.LogAttrs(ctx, level, "call", attrs...)
}
