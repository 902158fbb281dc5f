package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/standin"
)

func TestServeAnswersUntilItIsInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan result, 1)
	go func() { done <- hnsimContext(ctx, nil, "serve", "--profile", "ws2025", "--calls", "calls.ndjson") }()
	var words []string
	for range 2000 {
		raw, _ := os.ReadFile("hnsim-standin.txt")
		if words = strings.Fields(string(raw)); len(words) == 2 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if len(words) != 2 {
		cancel()
		t.Fatalf("no token file: %+v", <-done)
	}
	if info, err := os.Stat("hnsim-standin.txt"); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can read the token: %v %v", info.Mode(), err)
	}
	c, err := standin.Dial(words[0], words[1], "h1", 1)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Call(standin.Request{Function: "HNSCall", Texts: []standin.Text{standin.Str("GET"), standin.Str("/globals/version"), standin.Str("")}})
	if err != nil || !strings.Contains(resp.Texts[0].Value, `"Major":16`) {
		t.Errorf("%v %+v", err, resp)
	}
	cancel()
	(<-done).check(t, 0, words[0], "1 calls")
	if _, err := os.Stat("hnsim-standin.txt"); err == nil {
		t.Error("the token file is left behind")
	}
	if raw, _ := os.ReadFile("calls.ndjson"); strings.Count(string(raw), "\n") != 1 || !strings.Contains(string(raw), `"fn":"HNSCall"`) {
		t.Errorf("record: %s", raw)
	}
}

func TestServeRefusesWorldsThatMakeNoSense(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"--host", "h1"}, {"--host", "=10.0.0.1/8"}, {"--listen", "0.0.0.0:0"}, {"--profile", "ws1"}, {"--knob", "x"}} {
		if r := hnsim(t, nil, append([]string{"serve"}, args...)...); r.code != 2 {
			t.Errorf("%v: exit %d %s", args, r.code, r.errOut)
		}
	}
}
