// Command peers measures forwarding paths of the model and other systems side by
// side, in one run: many short rounds in turn, so that what the machine does
// meanwhile meets all of them, and prints ratios.
//
// It is a module of its own, so that users of hnsim do not inherit what the
// peers need.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/conformance/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(map[bool]int{true: 2, false: 3}[errors.Is(err, errUsage)])
	}
}

var errUsage = errors.New("usage")

// row is a path of the model beside a row of the limit.
type row struct {
	path, limit string
	flows       int
	goal        float64 // at most, times the limit
}

// rows are what the project promises.
var rows = []row{
	{"l2", "l2", 100_000, 2},
	{"nat", "napt", 100_000, 2},
	{"nat", "napt", 1_000_000, 2},
	{"outboundnat", "napt", 50_000, 2},
	{"encap", "encap", 100_000, 2},
	{"encap+decap", "encap+decap", 100_000, 2.5},
	{"lb-dsr", "lb", 100_000, 2.5},
	{"acl-1000", "acl-abv-1000", 100_000, 3},
	{"nat-new", "new", 100_000, 3},
}

type options struct {
	rounds, packets int
	only, profile   string
	flows           int
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	fs := flag.NewFlagSet("peers", flag.ContinueOnError)
	fs.IntVar(&o.rounds, "rounds", 15, "rounds of each row")
	fs.IntVar(&o.packets, "packets", 400_000, "packets of a round")
	fs.IntVar(&o.flows, "flows", 0, "flows of every row, in place of its own")
	fs.StringVar(&o.only, "rows", "", "paths to measure, separated by commas; all if empty")
	fs.StringVar(&o.profile, "profile", "", "write a CPU profile of the model's rounds to a file")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if fs.NArg() > 0 || o.rounds < 1 || o.packets < 64 {
		return fmt.Errorf("%w: expected flags only, at least one round and 64 packets", errUsage)
	}
	limit, err := bench.OpenLimit(ctx)
	if err != nil {
		return err
	}
	defer limit.Close()
	debug.SetGCPercent(400)
	fmt.Fprintln(out, "64-byte frames, one core, ns per packet of the thread's time; rounds in turn. The model's include")
	fmt.Fprintln(out, "bringing the frame in and everything that a host does with it; the limit's, the unavoidable work.")
	fmt.Fprintf(out, "%-14s %8s %9s %9s  %-14s %9s %9s  %7s %7s %5s\n", "path", "flows", "median", "least", "limit", "median", "least", "ratio", "least", "goal")
	for _, r := range rows {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), r.path) {
			continue
		}
		if o.flows > 0 {
			r.flows = o.flows
		}
		if err := compare(ctx, o, limit, r, out); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(out, "%-14s %8d not measured: %v\n", r.path, r.flows, err)
		}
	}
	return nil
}

// compare measures one row.
func compare(ctx context.Context, o options, limit *bench.CLimit, r row, out io.Writer) error {
	server, err := limit.Serve(ctx, r.flows)
	if err != nil {
		return err
	}
	defer server.Close()
	d, err := bench.OpenDrive(ctx, simulated.Backend{}, backends.WorldConfig{Seed: 1, Profile: "ws2022"}, r.path, 64, r.flows)
	if err != nil {
		return err
	}
	defer d.Close()
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	var model, least, ratios []float64
	for range o.rounds {
		c, err := server.Run(r.limit, o.packets)
		if err != nil {
			return err
		}
		m, err := d.Run(o.packets)
		if err != nil {
			return err
		}
		model, least, ratios = append(model, m), append(least, c), append(ratios, m/c)
	}
	for _, v := range [][]float64{model, least, ratios} {
		slices.Sort(v)
	}
	mid := o.rounds / 2
	fmt.Fprintf(out, "%-14s %8d %9.1f %9.1f  %-14s %9.1f %9.1f  %6.2fx %6.2fx %4.1fx\n",
		r.path, r.flows, model[mid], model[0], r.limit, least[mid], least[0], ratios[mid], model[0]/least[0], r.goal)
	return nil
}
