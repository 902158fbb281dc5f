package simulated

import (
	"testing"

	"github.com/hnsim/hnsim/backends/backendtest"
)

func TestTheModelKeepsTheBackendContract(t *testing.T) { backendtest.Run(t, Backend{}) }
