package rounds

import "testing"

func TestFewRoundsUnderTheRaceDetectorAndInShortMode(t *testing.T) {
	want := 100
	if detector || testing.Short() {
		want = 10
	}
	if got := Of(100, 10); got != want || Few() != (want == 10) {
		t.Errorf("%d rounds, want %d", got, want)
	}
}
