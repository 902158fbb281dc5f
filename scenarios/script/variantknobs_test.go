package script

import (
	"strings"
	"testing"
)

const knobMatrix = `# X-KNOB-1: knobs follow the matrix
# rules: L2B-04
# knobs: arpMode.l2bridge=$mode vfpNatIdle=30
# matrix: mode=proxy,rewrite

host h1 ip=10.0.0.1/24
echo $mode
`

func TestAKnobMayTakeItsValueFromTheMatrix(t *testing.T) {
	sc, err := Parse("x.txtar", []byte(knobMatrix))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range sc.Expand() {
		got = append(got, v.Knobs["arpMode.l2bridge"]+" "+v.Knobs["vfpNatIdle"])
	}
	if strings.Join(got, ", ") != "proxy 30, rewrite 30" {
		t.Errorf("the variants have knobs %q", got)
	}
}

func TestAKnobIsTriedOutWithEveryValueOfTheMatrix(t *testing.T) {
	for _, bad := range []string{"proxy,relay", "proxy,rewrite\n# knobs: arpMode.l2bridge=$other"} {
		_, err := Parse("x.txtar", []byte(strings.Replace(knobMatrix, "proxy,rewrite", bad, 1)))
		if err == nil || !strings.Contains(err.Error(), "arpMode.l2bridge") {
			t.Errorf("matrix %q: error %v, want one about the knob", bad, err)
		}
	}
}
