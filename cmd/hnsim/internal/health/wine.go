package health

import (
	"context"
	"errors"

	"github.com/hnsim/hnsim/sim/standin/hostnet"
	"github.com/hnsim/hnsim/sim/standin/wine"
)

// Tools is what hnsim exec finds on this machine.
type Tools struct {
	Distribution string // as wine.Distribution names it
	Wine         string // version; empty: none
	WineErr      error
	Compiler     string // path; empty: none
	Prefix       string // folder
	PrefixReady  bool
	DLLs         string // folder
	DLLsBuilt    bool
	Namespace    string // how a program gets one; empty: not at all
	NamespaceErr error
}

// lookForTools looks at this machine. What it cannot find out counts as not
// there.
func lookForTools(ctx context.Context) *Tools {
	t := &Tools{Distribution: wine.Distribution()}
	cache, err := wine.CacheDir()
	if err != nil {
		t.WineErr = err
		return t
	}
	path, err := wine.Find()
	if err == nil {
		t.Wine, err = wine.Version(ctx, path)
		t.Prefix, t.PrefixReady = wine.PrefixDir(cache, t.Wine)
	}
	t.WineErr = err
	t.Compiler, _ = wine.FindCompiler()
	t.DLLs, t.DLLsBuilt, _ = wine.ShimsDir(cache)
	t.Namespace, t.NamespaceErr = hostnet.Possible()
	return t
}

// whatFor ends the remedies of what only hnsim exec and exec lines need.
const whatFor = "optional, to run Windows programs: "

func (p *Probe) wine() Check {
	t := p.Tools
	switch {
	case p.GOOS == "windows":
		return Check{"wine", OK, "not needed: Windows runs the programs itself", ""}
	case t.Wine == "":
		text := "not installed"
		if t.WineErr != nil {
			text = t.WineErr.Error()
		}
		return Check{"wine", Warn, text, whatFor + wine.WinePackage(t.Distribution)}
	}
	return Check{"wine", OK, t.Wine, ""}
}

func (p *Probe) prefix() Check {
	t := p.Tools
	switch {
	case p.GOOS == "windows" || t.Wine == "":
		return Check{"wine prefix", OK, "not needed without wine", ""}
	case t.PrefixReady:
		return Check{"wine prefix", OK, "ready in " + t.Prefix, ""}
	}
	return Check{"wine prefix", OK, "hnsim exec will make it when it first runs (a minute, up to 700 MB)", ""}
}

func (p *Probe) dlls() Check {
	t := p.Tools
	switch {
	case p.GOOS == "windows":
		return Check{"DLLs", OK, "not needed on Windows", ""}
	case t.DLLsBuilt:
		return Check{"DLLs", OK, "current, in " + t.DLLs, ""}
	case t.Compiler != "":
		return Check{"DLLs", OK, "hnsim exec will build them when it first runs, with " + t.Compiler, ""}
	}
	return Check{"DLLs", Warn, "not built, and no mingw-w64 to build them", whatFor + wine.CompilerPackage(t.Distribution)}
}

func (p *Probe) namespace() Check {
	t := p.Tools
	if p.GOOS == "windows" {
		return Check{"namespace", OK, "not needed on Windows", ""}
	}
	if t.Namespace != "" {
		return Check{"namespace", OK, "programs get the interfaces of their host, " + t.Namespace, ""}
	}
	err := t.NamespaceErr
	if err == nil {
		err = errors.New("not possible")
	}
	return Check{"namespace", Warn, "programs see this machine's interfaces: " + err.Error(),
		"optional: run hnsim exec as root, or allow user namespaces (sysctl user.max_user_namespaces; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)"}
}
