package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/scenarios/script"
)

type traceFlags struct {
	worldFlags
	add     []string
	until   int
	packet  uint64
	dropped bool
}

func (a *app) traceCmd() *cobra.Command {
	var f traceFlags
	c := &cobra.Command{
		Use:   "trace scenario|file",
		Short: "follow packets through the stack: every stage, every rule, what became of them",
		Long: `Run one scenario with tracing on and print, for every packet, each stage it met,
the rules that matched, what was rewritten, and its fate.

To try a packet of your own in the world that a scenario builds, stop the script before
a line (--until) and add lines of the script language (--add).`,
		Example: `  hnsim trace S-NAT-05
  hnsim trace S-NAT-01 --dropped
  hnsim trace S-NAT-01 --until 12 --add "send c1 udp 172.16.0.10:5000 > 203.0.113.9:53"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeScenarios,
		RunE:              func(c *cobra.Command, args []string) error { return a.runTrace(c, args[0], &f) },
	}
	flags := c.Flags()
	f.worldFlags.add(flags)
	flags.StringArrayVar(&f.add, "add", nil, "`line` of the script language to run at the end; repeatable")
	flags.IntVar(&f.until, "until", 0, "stop the script before this `line`")
	flags.Uint64Var(&f.packet, "packet", 0, "the packet with this `id` only")
	flags.BoolVar(&f.dropped, "dropped", false, "packets that were dropped only")
	return c
}

// traced is the output of trace in JSON.
type traced struct {
	Scenario string                    `json:"scenario"`
	Status   script.Status             `json:"status"`
	Reason   string                    `json:"reason,omitempty"`
	Packets  []conformance.PacketTrace `json:"packets"`
}

func (a *app) runTrace(c *cobra.Command, what string, f *traceFlags) error {
	cfg, err := a.config(&f.worldFlags)
	if err != nil {
		return err
	}
	selectors, files := splitFiles([]string{what})
	specs, err := conformance.Catalogue(selectors, files, "")
	if err != nil {
		return err
	}
	spec := specs[0]
	if len(specs) > 1 {
		a.talk("%q picks %s; following %s\n", what, plural(len(specs), "scenario"), spec.ID)
	}
	if f.until < 0 {
		return fmt.Errorf("--until is %d: expected the number of a line", f.until)
	}
	if f.until > 0 || len(f.add) > 0 {
		if spec, err = conformance.Edit(spec, f.until, f.add); err != nil {
			return err
		}
	}
	run, err := conformance.Trace(c.Context(), cfg, spec)
	if err != nil {
		return err
	}
	if f.packet != 0 && !slices.ContainsFunc(run.Packets, func(p conformance.PacketTrace) bool { return p.ID == f.packet }) {
		return fmt.Errorf("--packet is %d: %s has no such packet, its %s", f.packet, spec.ID, packetIDs(run.Packets))
	}
	out := traced{Scenario: spec.ID, Status: run.Result.Status, Reason: run.Result.Reason, Packets: []conformance.PacketTrace{}}
	for _, p := range run.Packets {
		if (f.packet == 0 || p.ID == f.packet) && (!f.dropped || p.Dropped) {
			out.Packets = append(out.Packets, p)
		}
	}
	if a.opts.format == "json" {
		if err := a.json(out); err != nil {
			return err
		}
	} else {
		a.printTrace(&out)
	}
	if run.Result.Status == script.Error {
		return exit.With(exit.NotTested, fmt.Errorf("%s: %s", spec.ID, run.Result.Reason))
	}
	return nil
}

// packetIDs says which packets a run has.
func packetIDs(all []conformance.PacketTrace) string {
	if len(all) == 0 {
		return "run saw none"
	}
	first, last := all[0].ID, all[0].ID
	for _, p := range all {
		first, last = min(first, p.ID), max(last, p.ID)
	}
	return fmt.Sprintf("packets are %d to %d", first, last)
}

func (a *app) printTrace(t *traced) {
	fmt.Fprintf(a.out, "%s  %s", t.Scenario, t.Status)
	if t.Reason != "" {
		fmt.Fprintf(a.out, "  %s", t.Reason)
	}
	fmt.Fprintln(a.out)
	for _, p := range t.Packets {
		fmt.Fprintf(a.out, "\npacket %d from %s\n  %s\n", p.ID, p.Origin, p.Packet)
		for _, s := range p.Steps {
			fmt.Fprintf(a.out, "    %s\n", s)
		}
		fmt.Fprintf(a.out, "  %s\n", p.Fate)
	}
	if len(t.Packets) == 0 {
		fmt.Fprintln(a.out, "no packet")
	}
}
