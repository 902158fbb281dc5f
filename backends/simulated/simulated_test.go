package simulated

import (
	"context"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends/backendtest"
	"github.com/hnsim/hnsim/scenarios/script"
)

func TestTheModelKeepsTheBackendContract(t *testing.T) { backendtest.Run(t, Backend{}) }

func TestAnUnknownDropReasonIsAnError(t *testing.T) {
	const file = `# TYPO-01: a reason that nobody has
# rules: VS-20
# labels: vswitch

host h1 ip=10.127.130.35/24
drop none h1 MacSpof
`
	sc, err := script.Parse("typo.txtar", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	res := script.Run(context.Background(), sc, Backend{}, script.Options{})
	if res.Status != script.Error || !strings.Contains(res.Reason, "MacSpoof") {
		t.Errorf("status %s, reason %q; want an error that suggests MacSpoof", res.Status, res.Reason)
	}
}
