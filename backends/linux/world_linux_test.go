package linux

import (
	"testing"

	"github.com/hnsim/hnsim/backends/backendtest"
)

func TestContract(t *testing.T) { backendtest.Run(t, Backend{}) }
