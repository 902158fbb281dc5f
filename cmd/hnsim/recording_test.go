package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends/recording"
)

func TestARecordingGivesTheSameResultsAgain(t *testing.T) {
	files := []string{mine(t, "passes.txtar"), mine(t, "fails.txtar")}
	t.Chdir(t.TempDir())
	first := hnsim(t, nil, append([]string{"run", "--record", "r.hnsrec", "--seed", "9", "--profile", "ws2019"}, files...)...)
	first.check(t, 1, "1 passed, 1 failed", "")
	again := hnsim(t, nil, append([]string{"run", "--backend", "replay:r.hnsrec"}, files...)...)
	again.check(t, 1, "1 passed, 1 failed", "backend=replay profile=ws2019")
	again.check(t, 1, "--backend replay:r.hnsrec --profile ws2019 --seed 9", "")
	if hashOf(first.out) == "" || hashOf(first.out) != hashOf(again.out) {
		t.Errorf("event hashes %q and %q", hashOf(first.out), hashOf(again.out))
	}
}

func TestExpectationsSpeakOfWhatWasRecorded(t *testing.T) {
	fails := mine(t, "fails.txtar")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("e.expect", []byte("fail TRY-02 backend=sim reason=\"the file is wrong\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "run", "--record", "r.hnsrec", fails)
	hnsim(t, nil, "run", "--backend", "replay:r.hnsrec", "--expect", "e.expect", fails).check(t, 0, "1 failed as expected", "")
}

func TestWhatARecordingLacksIsSkippedAndSaid(t *testing.T) {
	passes, fails := mine(t, "passes.txtar"), mine(t, "fails.txtar")
	t.Chdir(t.TempDir())
	hnsim(t, nil, "run", "--record", "r.hnsrec", passes)
	r := hnsim(t, nil, "run", "--backend", "replay:r.hnsrec", passes, fails)
	r.check(t, 0, "not in the recording: it has no world of TRY-02", "")
	hnsim(t, nil, "run", "--backend", "replay:r.hnsrec", fails).check(t, 3, "not in the recording", "")

	whole, err := os.ReadFile("r.hnsrec")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("torn.hnsrec", whole[:len(whole)-40], 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "run", "--backend", "replay:torn.hnsrec", passes).check(t, 0, "", "worlds in it are complete")
}

// tear cuts a recording right behind some complete worlds.
func tear(t *testing.T, file, torn string, complete int) {
	t.Helper()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < len(whole); cut++ {
		var e *recording.TornError
		if _, err := recording.Read(bytes.NewReader(whole[:cut])); !errors.As(err, &e) || e.Complete != complete {
			continue
		}
		if err := os.WriteFile(torn, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("nowhere to tear it")
}

// What is complete in a torn recording is used; who asks for what it has lost
// hears that, with code 3.
func TestATornRecordingIsUsedAsFarAsItGoes(t *testing.T) {
	passes, fails := mine(t, "passes.txtar"), mine(t, "fails.txtar")
	t.Chdir(t.TempDir())
	hnsim(t, nil, "run", "--record", "r.hnsrec", "--parallel", "1", passes, fails)
	tear(t, "r.hnsrec", "torn.hnsrec", 1)

	const torn, lost = "the recording is torn behind line ", "cannot be told from it"
	there, gone := passes, fails
	if r := hnsim(t, nil, "diff", "--left", "sim", "--right", "torn.hnsrec", there); r.code != 0 {
		there, gone = gone, there // recorded in another order
	}
	for _, tt := range []struct {
		name  string
		files []string
		code  int
		want  string
	}{
		{"what is complete", []string{there}, 0, torn},
		{"what is lost", []string{gone}, 3, torn},
		{"both", []string{there, gone}, 3, lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := hnsim(t, nil, append([]string{"diff", "--left", "sim", "--right", "torn.hnsrec"}, tt.files...)...)
			r.check(t, tt.code, "", tt.want)
			if strings.Contains(r.errOut, lost) != (tt.code == 3) {
				t.Errorf("stderr: %s", r.errOut)
			}
		})
	}
	hnsim(t, nil, "run", "--record", "r.hnsrec", passes)
	tear(t, "r.hnsrec", "torn.hnsrec", 0)
	hnsim(t, nil, "run", "--backend", "replay:torn.hnsrec", passes).check(t, 3, "", lost)
}

func TestRecordingsThatMakeNoSenseAreUsageErrors(t *testing.T) {
	passes := mine(t, "passes.txtar")
	t.Chdir(t.TempDir())
	hnsim(t, nil, "run", "--record", "r.hnsrec", passes)
	if err := os.WriteFile("text", []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"a file that is not there", []string{"--backend", "replay:no.hnsrec"}, "no.hnsrec"},
		{"a file that is none", []string{"--backend", "replay:text"}, "text: this is no recording: expected gzip"},
		{"another profile", []string{"--backend", "replay:r.hnsrec", "--profile", "ws2016"}, "--profile is ws2016, but the recording was made with ws2022"},
		{"another seed", []string{"--backend", "replay:r.hnsrec", "--seed", "8"}, "--seed is 8"},
		{"a knob", []string{"--backend", "replay:r.hnsrec", "--knob", "natHairpin=drop"}, "--knob cannot change"},
		{"a recording of itself", []string{"--backend", "replay:r.hnsrec", "--record", "r.hnsrec"}, "would overwrite"},
		{"a folder that is not there", []string{"--record", "no/r.hnsrec"}, "--record"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hnsim(t, nil, append([]string{"run", passes}, tt.args...)...).check(t, 2, "", tt.want)
		})
	}
	hnsim(t, nil, "run", "S-NO-SUCH", "--record", "new.hnsrec")
	if _, err := os.Stat("new.hnsrec"); err == nil {
		t.Error("a run that made no sense left a recording")
	}
	if b, _ := os.ReadFile("r.hnsrec"); len(b) == 0 || strings.HasPrefix(string(b), "hello") {
		t.Error("the recording is gone")
	}
}
