//go:build !windows

package hns

import (
	"errors"

	"github.com/hnsim/hnsim/sim/hcn"
)

func thisMachine() (machine, error) { return nil, errors.New(needsWindows) }

func supported(hcn.HNSVersion) map[string]bool { return nil }

// localControl is not reached here: there is no machine.
func localControl() control { return nil }
