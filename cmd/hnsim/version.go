package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/buildinfo"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/settings"
	"github.com/hnsim/hnsim/reports"
)

func (a *app) versionCmd() *cobra.Command {
	var config bool
	c := &cobra.Command{
		Use:   "version",
		Short: "print the version, or every setting and where it came from",
		Long: `Print the version. With --config print the value of every setting of "hnsim run" and
where it came from: an environment variable, the configuration file, or the default.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if config {
				return a.printConfig(c)
			}
			return a.printVersion()
		},
	}
	c.Flags().BoolVar(&config, "config", false, "print settings instead")
	return c
}

type versionInfo struct {
	Version string       `json:"version"`
	Go      string       `json:"go"`
	OS      string       `json:"os"`
	Arch    string       `json:"arch"`
	Git     *reports.Git `json:"git,omitempty"`
}

func (a *app) printVersion() error {
	v := versionInfo{buildinfo.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, buildinfo.Git()}
	if a.opts.format == "json" {
		return a.json(v)
	}
	fmt.Fprintf(a.out, "hnsim %s %s %s/%s", v.Version, v.Go, v.OS, v.Arch)
	if v.Git != nil {
		fmt.Fprintf(a.out, " commit %.12s", v.Git.Commit)
		if v.Git.Dirty {
			fmt.Fprint(a.out, " (modified)")
		}
	}
	fmt.Fprintln(a.out)
	return nil
}

func (a *app) printConfig(c *cobra.Command) error {
	run, _, err := c.Root().Find([]string{"run"})
	if err != nil {
		return err
	}
	values, err := a.settings(run)
	if err != nil {
		return err
	}
	if a.opts.format == "json" {
		return a.json(values)
	}
	var rows [][]string
	for _, v := range values {
		rows = append(rows, []string{v.Name, v.Value, v.Origin, settings.EnvName(v.Name)})
	}
	writeTable(a.out, []string{"setting", "value", "from", "environment"}, rows)
	return nil
}
