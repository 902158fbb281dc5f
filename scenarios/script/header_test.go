package script

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestTheHeaderIsRead(t *testing.T) {
	sc := mkScenario(t, `# S-OV-01: a title: with a colon
# rules: OV-08 7.1        labels: overlay core
# rules: NAT-10/17, D-04
# labels: core,udp
# profiles: ws2019,ws2022 strict-rfc
# knobs: loopbackPublish=off outerTtl=64
# matrix: proto=udp,tcp
#
# Prose of the requirement: it may hold colons,
#   and several lines.
# note: this is prose too
# a: b

# a comment
host h1 ip=10.0.0.1/24
expect none h1 $proto
requires network.overlay DSR
[capability:drops] drop none
`)
	got := fmt.Sprint(sc.ID, "|", sc.Title, "|", sc.Area, "|", sc.File, "|", sc.Rules, sc.Labels, sc.Profiles, sc.Knobs, len(sc.Variants), sc.Requires)
	want := "S-OV-01|a title: with a colon|area|area/test.txtar|[OV-08 7.1 NAT-10 NAT-17 D-04] [overlay core udp] [ws2019 ws2022 strict-rfc] map[loopbackPublish:off outerTtl:64] 2 [capability:knobs capability:network.overlay feature:DSR]"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if want := "Prose of the requirement: it may hold colons,\nand several lines.\nnote: this is prose too\na: b"; sc.Requirement != want {
		t.Errorf("requirement %q", sc.Requirement)
	}
}

func TestTheAreaIsTheFolder(t *testing.T) {
	for file, want := range map[string]string{"nat/idle.txtar": "nat", "/a/b/nat/x.txtar": "nat", `my\lb\x.txtar`: "lb", "x.txtar": "", "./x.txtar": "", "../x.txtar": ""} {
		if got := areaOf(file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

func TestMatricesAreMultipliedOut(t *testing.T) {
	got, err := parseMatrix([]string{"a=1,2", "b=x,y"})
	var names []string
	for _, v := range got {
		names = append(names, v.Name)
	}
	if err != nil || strings.Join(names, " ") != "a=1,b=x a=1,b=y a=2,b=x a=2,b=y" || !reflect.DeepEqual(got[2].Values, map[string]string{"a": "2", "b": "x"}) {
		t.Error(names, err)
	}
	for _, bad := range []string{"a", "A=1", "a=", "a=1,,2", "a=1/2", "a=1 b=1 a=2", "a=1,1", "=1", "a=1,2,3,4,5,6,7,8,9 b=1,2,3,4,5,6,7,8,9"} {
		if _, err := parseMatrix(strings.Fields(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestProfilesAreComparedByBuild(t *testing.T) {
	tests := map[string]string{
		"ws2022": "ws2022", "ws2016,ws2025": "ws2016 ws2025", ">=ws2022": "ws2022 ws2025 strict-rfc", "<=ws2019": "ws2016 ws2019",
		"<=ws2016,>=ws2025": "ws2016 ws2025 strict-rfc", "=ws2022": "", "ws2023": "", "": "", ">=": "",
	}
	for text, want := range tests {
		got, err := profileSet(text)
		if strings.Join(got, " ") != want && err == nil || (err != nil) != (want == "") {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
}

func TestTheNearestNameIsSuggested(t *testing.T) {
	names := []string{"host", "expect", "endpoint", "wire"}
	for got, want := range map[string]string{"hsot": "host", "Host": "host", "expct": "expect", "endpiont": "endpoint", "wir": "wire", "zzz": "", "": "", strings.Repeat("x", 100): ""} {
		if s := closest(got, names); s != want {
			t.Errorf("%q: %q, want %q", got, s, want)
		}
	}
}

func TestDistancesOfWords(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"udp", "tcp", 2}}
	for _, test := range tests {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestLabelsAreNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range Labels() {
		if seen[l.Name] || l.Meaning == "" || strings.ContainsAny(l.Name, "&|!,()/\": ") {
			t.Errorf("%+v", l)
		}
		seen[l.Name] = true
	}
}

func TestLimitsOfAFile(t *testing.T) {
	head := "# T-1: x\n# rules: NAT-10\n"
	tests := []struct{ name, source, want string }{
		{"size", head + strings.Repeat("#", maxFile), "bytes; a scenario has at most"},
		{"lines", head + strings.Repeat("echo x\n", maxLines+1), "more than 2000 lines"},
		{"length", head + "echo " + strings.Repeat("x", maxLine) + "\n", "a line of"},
		{"zero byte", head + "echo \x00\n", "a zero byte"},
	}
	for _, test := range tests {
		if _, err := Parse("a/x.txtar", []byte(test.source)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, err := Parse("a/x.txtar", []byte(head+strings.Repeat("echo x\n", maxLines-2))); err != nil {
		t.Error(err)
	}
}

func TestValuesThatAreNoValues(t *testing.T) {
	tests := map[fieldKind][]string{
		numberField:   {"", "x", "5-", "9-5", ">=", "<0", "-5", "5-x", "!", "1|x", ">18446744073709551615"},
		addrField:     {"", "10.0.0", "10.0.0.1/40", "x"},
		macField:      {"", "02-00", "x"},
		tcpFlagsField: {"", "X", "SS", "S-", "+"},
		protoField:    {"", "300", "upd"},
		sumField:      {"", "good"},
	}
	for kind, list := range tests {
		for _, text := range list {
			if _, err := parseValue(kind, text); err == nil {
				t.Errorf("kind %d: %q is accepted", kind, text)
			}
		}
	}
}
