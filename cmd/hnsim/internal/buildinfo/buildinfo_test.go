package buildinfo

import (
	"runtime/debug"
	"testing"
)

func TestTheCommitComesFromTheBuild(t *testing.T) {
	g := fromSettings([]debug.BuildSetting{{Key: "GOOS", Value: "x"}, {Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}})
	if g == nil || g.Commit != "abc" || !g.Dirty {
		t.Errorf("%+v", g)
	}
	if g := fromSettings([]debug.BuildSetting{{Key: "vcs.modified", Value: "true"}}); g != nil {
		t.Errorf("no commit became %+v", g)
	}
}

func TestOutsideARepositoryThereIsNoCommit(t *testing.T) {
	t.Chdir(t.TempDir())
	if g := fromWorkingDirectory(); g != nil {
		t.Errorf("%+v", g)
	}
}

func TestThereIsAlwaysAVersion(t *testing.T) {
	if Version() == "" {
		t.Error("none")
	}
}
