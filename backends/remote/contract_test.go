package remote_test

import (
	"net"
	"testing"

	"github.com/hnsim/hnsim/backends/backendtest"
	"github.com/hnsim/hnsim/backends/remote"
	"github.com/hnsim/hnsim/backends/simulated"
)

func TestAWorldFarAwayKeepsTheContract(t *testing.T) {
	here, there := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- remote.Serve(t.Context(), there, remote.Config{Backend: simulated.Backend{}}) }()
	c, err := remote.NewClient(here, "")
	if err != nil {
		t.Fatal(err)
	}
	backendtest.Run(t, c)
	_ = c.Close()
	<-done
}
