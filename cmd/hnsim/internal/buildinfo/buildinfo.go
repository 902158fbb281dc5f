package buildinfo

import (
	"context"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/hnsim/hnsim/reports"
)

// Version is the module's version, or "devel" when it was built from a
// checkout without one.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// Git is the commit of the program. Programs that `go run` and `go test` build
// carry none; for them it is the commit of the working directory, where their
// source most likely is. It is nil when neither is known.
var Git = sync.OnceValue(func() *reports.Git {
	if info, ok := debug.ReadBuildInfo(); ok {
		if g := fromSettings(info.Settings); g != nil {
			return g
		}
	}
	return fromWorkingDirectory()
})

func fromSettings(settings []debug.BuildSetting) *reports.Git {
	var g reports.Git
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			g.Commit = s.Value
		case "vcs.modified":
			g.Dirty = s.Value == "true"
		}
	}
	if g.Commit == "" {
		return nil
	}
	return &g
}

// gitPatience bounds a git that waits for something; the commit is not worth
// more.
const gitPatience = 2 * time.Second

func fromWorkingDirectory() *reports.Git {
	ctx, cancel := context.WithTimeout(context.Background(), gitPatience)
	defer cancel()
	ask := func(args ...string) (string, bool) {
		out, err := exec.CommandContext(ctx, "git", args...).Output()
		return strings.TrimSpace(string(out)), err == nil
	}
	commit, ok := ask("rev-parse", "HEAD")
	if !ok {
		return nil
	}
	g := &reports.Git{Commit: commit}
	if branch, ok := ask("symbolic-ref", "--short", "HEAD"); ok {
		g.Branch = branch
	}
	if status, ok := ask("status", "--porcelain", "--untracked-files=no"); ok {
		g.Dirty = status != ""
	}
	return g
}
