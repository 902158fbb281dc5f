package main

import (
	"runtime"
	"testing"
)

func TestTheRealBackendSaysWhatItNeeds(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this is Windows")
	}
	t.Chdir(t.TempDir())
	hnsim(t, nil, "run", "--backend", "hns", "S-NAT-01").check(t, 3, "", "needs Windows")
	hnsim(t, nil, "run", "--backend", "hns", "--dry-run").check(t, 3, "", "needs Windows")
	hnsim(t, nil, "doctor", "--backend", "hns", "--clean").check(t, 3, "", "needs Windows")
	hnsim(t, nil, "doctor", "--backend", "hns").check(t, 3, "needs Windows", "")
	for _, flags := range [][]string{{"--dry-run"}, {"--allow-external"}, {"--adapter", "Lab"}} {
		hnsim(t, nil, append([]string{"run", "S-NAT-01"}, flags...)...).check(t, 2, "", "is for --backend hns")
	}
	hnsim(t, nil, "exec", "--probes", "--server", "x", "--", "a.exe").check(t, 2, "", "exclude each other")
	hnsim(t, nil, "probe-compartment", "x").check(t, 2, "", "expected a number")
}
