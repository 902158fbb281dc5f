package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/tally"
	"github.com/hnsim/hnsim/sim/standin/wine"
)

// signalBurst is how long after the second signal more of them are taken for
// the same: somebody who holds Ctrl-C down still gets the account.
const signalBurst = time.Second

// secondSignal is closed by the second Ctrl-C or SIGTERM; the first one ends
// ctx. Until release, or a while after the second, none of them ends this
// process.
func secondSignal(ctx context.Context) (second <-chan struct{}, release func()) {
	wanted := 2
	if ctx.Err() != nil {
		wanted = 1
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	kill, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer signal.Stop(signals)
		for range wanted {
			select {
			case <-signals:
			case <-done:
				return
			}
		}
		close(kill)
		select {
		case <-time.After(signalBurst):
		case <-done:
		}
	}()
	return kill, func() { close(done) }
}

// reportFile is the file of --report; nil is none. It is open before the
// program runs, so that a path which cannot be written costs no run.
type reportFile struct {
	file  *os.File
	wrote bool
}

func openReport(path string) (*reportFile, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("--report: %w", err))
	}
	return &reportFile{file: f}, nil
}

// write replaces what the file held.
func (f *reportFile) write(r *tally.Report) error {
	if f == nil {
		return nil
	}
	f.wrote = true
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if info, err := f.file.Stat(); err == nil && info.Mode().IsRegular() {
		if err := f.file.Truncate(0); err != nil {
			return fmt.Errorf("--report: %w", err)
		}
	}
	if _, err = f.file.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}

// close leaves no empty file behind where there is no account.
func (f *reportFile) close() {
	if f == nil {
		return
	}
	info, err := f.file.Stat()
	f.file.Close()
	if err == nil && !f.wrote && info.Mode().IsRegular() && info.Size() == 0 {
		os.Remove(f.file.Name())
	}
}

// tell says what the program did, wherever it can still be said.
func (a *app) tell(file *reportFile, r *tally.Report) error {
	err := file.write(r)
	if a.opts.format == "json" {
		return errors.Join(err, a.json(r))
	}
	if !a.opts.quiet {
		r.WriteText(a.err)
	}
	return err
}

// unixCode is what fits of a Windows exit code: eight bits, and never 0 for a
// failure.
func unixCode(code int64) int {
	switch {
	case code == wine.Interrupted:
		return exit.Interrupted
	case code != 0 && code&0xFF == 0:
		return 1
	}
	return int(code & 0xFF)
}
