package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/backends/hns"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/state"
)

func (a *app) collectCmd() *cobra.Command {
	var out string
	var anonymize bool
	c := &cobra.Command{
		Use:   "collect",
		Short: "take the state of this Windows host's HNS into a zip",
		Long: `Read all that HNS holds on this machine (networks, endpoints, namespaces, load balancers,
routes) and what surrounds it (adapters, excluded port ranges, VFP's ports, the routing
table, the build) into a zip, which hnsim import reads on any system. Nothing is changed.

--anonymize replaces every IP and MAC address by another one, consistently: addresses
with a common prefix keep a common prefix of that length, so that subnets, routes and
gateways keep their meaning. Private ranges stay private. Names are not replaced.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if runtime.GOOS != "windows" {
				return exit.With(exit.NotTested, fmt.Errorf("collect needs Windows; this is %s. On the host: Get-HnsNetwork | ConvertTo-Json -Depth 20 > networks.json, which hnsim import reads, too", runtime.GOOS))
			}
			return a.collect(out, anonymize)
		},
	}
	c.Flags().StringVar(&out, "out", "state.zip", "`file` to write")
	c.Flags().BoolVar(&anonymize, "anonymize", false, "replace addresses, consistently")
	return c
}

func (a *app) collect(out string, anonymize bool) error {
	s, err := state.Collect(hns.Documents)
	if err != nil {
		return exit.With(exit.NotTested, fmt.Errorf("collect: %w", err))
	}
	if s.Version, err = hns.ServiceVersion(); err != nil {
		return exit.With(exit.NotTested, fmt.Errorf("collect: the version of HNS: %w", err))
	}
	s.Arch, s.Other = runtime.GOARCH, hns.Surroundings()
	if host, err := os.Hostname(); err == nil {
		s.Host = host
	}
	if anonymize {
		key := make([]byte, 32)
		rand.Read(key)
		if err := s.Anonymize(key); err != nil {
			return exit.With(exit.NotTested, fmt.Errorf("collect: %w", err))
		}
	}
	f, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if err := errors.Join(s.WriteZip(f), f.Close()); err != nil {
		return exit.With(exit.NotTested, errors.Join(err, os.Remove(out)))
	}
	a.talk("%s: %s\n", out, s.Count())
	return nil
}

type importFlags struct {
	out, id, title, address string
}

func (a *app) importCmd() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import file...",
		Short: "make a scenario of a Windows host's state",
		Long: `Make a scenario of what hnsim collect has put into a zip, or of what PowerShell prints:

  Get-HnsNetwork    | ConvertTo-Json -Depth 20 > networks.json
  Get-HnsEndpoint   | ConvertTo-Json -Depth 20 > endpoints.json
  Get-HnsPolicyList | ConvertTo-Json -Depth 20 > policies.json

Several files are one state. A file may hold one object or a list, in the v1 or the v2
shape, in UTF-8 or UTF-16, inside an answer of HNS or not; "-" is standard input. The
scenario makes every object again, with the same names, addresses and policies; what it
leaves out it says, in the file and on standard error. Run it, and add packets.`,
		Example: `  hnsim import state.zip --out mine.txtar && hnsim run ./mine.txtar
  hnsim import networks.json endpoints.json > mine.txtar`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.runImport(args, c.InOrStdin(), &f) },
	}
	c.Flags().StringVar(&f.out, "out", "", "`file` for the scenario; empty is standard output")
	c.Flags().StringVar(&f.id, "id", "IMPORTED-01", "`id` of the scenario")
	c.Flags().StringVar(&f.title, "title", "the networks of a real host", "`title` of the scenario")
	c.Flags().StringVar(&f.address, "address", "", "`address/bits` of the host; empty is what the state says, if it does")
	return c
}

func (a *app) runImport(args []string, in io.Reader, f *importFlags) error {
	o := state.Options{ID: f.id, Title: f.title}
	if f.address != "" {
		var err error
		if o.Address, err = netip.ParsePrefix(f.address); err != nil {
			return fmt.Errorf("--address is %q: expected address/bits, such as 10.127.130.35/24", f.address)
		}
	}
	s := &state.State{}
	for _, name := range args {
		data, err := readInput(name, in)
		if err == nil {
			err = s.Read(filepath.ToSlash(name), data)
		}
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
	}
	text, notes, err := s.Scenario(o)
	for _, n := range notes {
		a.talk("note: %s\n", n)
	}
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if f.out == "" {
		_, err = a.out.Write(text)
		return exit.With(exit.NotTested, err)
	}
	if err := os.WriteFile(f.out, text, 0o644); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	a.talk("%s: %s\n", f.out, s.Count())
	return nil
}

// readInput reads a file within bounds.
func readInput(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, state.MaxBytes+1))
}
