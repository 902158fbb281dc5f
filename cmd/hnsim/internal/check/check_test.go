package check

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/hcn"
)

func mkChecker(profiles ...string) *Checker {
	if profiles == nil {
		profiles = []string{"ws2022"}
	}
	return &Checker{
		Profiles: profiles, Now: time.Date(2026, 5, 11, 0, 0, 0, 0, time.UTC),
		Suite: func() ([]*conformance.Spec, error) {
			return []*conformance.Spec{{Scenario: reports.Scenario{ID: "S-NAT-01", Area: "nat"}, Base: "S-NAT-01", Path: "nat/tcp"}}, nil
		},
	}
}

func findings(t *testing.T, c *Checker, name, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := c.File(name)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	WriteText(&b, found)
	return b.String()
}

const goodNetwork = `{"SchemaVersion":{"Major":2,"Minor":0},"Name":"n","Type":"NAT",
 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.16.0.0/24","Routes":[{"NextHop":"172.16.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`

func TestGoodFilesHaveNoFindings(t *testing.T) {
	tests := []struct{ name, text string }{
		{"net.json", goodNetwork},
		{"bom.json", "\xef\xbb\xbf" + goodNetwork},
		{"list.json", "[" + goodNetwork + "]"},
		{"empty-list.json", "[]"},
		{"x.expect", "fail S-NAT-01 issue=o/r#1 until=2030-01-01\n"},
	}
	for _, tt := range tests {
		if got := findings(t, mkChecker(), tt.name, tt.text); got != "" {
			t.Errorf("%s:\n%s", tt.name, got)
		}
	}
}

func TestFindingsNameThePlaceAndWhatIsExpected(t *testing.T) {
	tests := []struct {
		name, file, text string
		want             []string
	}{
		{"not JSON", "a.json", "{\n\n\"a\" 1}", []string{"a.json:3  not JSON: "}},
		{"no document", "a.json", `{"color":"red"}`, []string{"a.json  this is no document of HNS", "expected    a network, endpoint"}},
		{"a bad prefix", "a.json", strings.Replace(goodNetwork, "172.16.0.0/24", "172.16.0.0/99", 1), []string{"a.json:2", "Ipams[0].Subnets[0].IpAddressPrefix", "172.16.0.0/99", "answer", "rejected by ws2022"}},
		{"a type that does not exist", "a.json", strings.Replace(goodNetwork, `"NAT"`, `"NATT"`, 1), []string{"a.json:1", "Type", "NATT"}},
		{"an item of a list", "a.json", "[" + goodNetwork + "," + strings.Replace(goodNetwork, "/24", "/x", 1) + "]", []string{"[1].Ipams[0].Subnets[0].IpAddressPrefix"}},
		{"a bad expectation", "a.expect", "# c\nfial S-NAT-01 issue=x", []string{`a.expect:2  found "fial"`, "did you mean fail?"}},
		{"an expectation of nothing", "a.expect", "fail S-XX-01 issue=x", []string{"a.expect:1  S-XX-01 matches no scenario"}},
		{"an expired expectation", "a.expect", "\nfail S-NAT-01 issue=x until=2025-01-01", []string{"a.expect:2  expired on 2025-01-01"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := findings(t, mkChecker(), tt.file, tt.text)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
		})
	}
}

func TestFilesThatCannotBeCheckedAreErrors(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, "x.yaml")
	big := filepath.Join(dir, "x.json")
	for _, f := range []string{odd, big} {
		if err := os.WriteFile(f, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(big, maxBytes+1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ file, want string }{
		{filepath.Join(dir, "missing.json"), "missing.json"}, {dir, "is a folder"}, {odd, "expected a scenario (.txtar)"}, {big, "at most"},
	} {
		if _, err := mkChecker().File(tt.file); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.file, err)
		}
	}
}

func TestProfilesMayBeNamesOrBuilds(t *testing.T) {
	got, err := Profiles([]string{"26100", "WS2019", "17763"})
	if err != nil || strings.Join(got, " ") != "ws2025 ws2019" {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range [][]string{{"ws2020"}, {"12345"}, {}} {
		if _, err := Profiles(bad); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}

func TestEqualFindingsOfSeveralProfilesAreOne(t *testing.T) {
	c := mkChecker(hcn.ProfileNames()...)
	bad := strings.Replace(goodNetwork, "172.16.0.0/24", "172.16.0.0/99", 1)
	got := findings(t, c, "a.json", bad)
	if strings.Count(got, "172.16.0.0/99") != 1 || !strings.Contains(got, "rejected by ws2016, ws2019, ws2022, ws2025, strict-rfc") {
		t.Errorf("%s", got)
	}
}

func TestABrokenSuiteSpoilsExpectationsOnly(t *testing.T) {
	t.Chdir(t.TempDir())
	c := mkChecker()
	c.Suite = func() ([]*conformance.Spec, error) { return nil, errors.New("broken") }
	for name, wantErr := range map[string]bool{"a.json": false, "a.txtar": false, "a.expect": true} {
		if err := os.WriteFile(name, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := c.File(name); (err != nil) != wantErr {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABadScenarioNamesItsLines(t *testing.T) {
	got := findings(t, mkChecker(), "a.txtar", "# TRY-01: mistakes\n# rules: NAT-10\nhost h1 ip=10.0.0.1/24\nsned h1\nexpect h9 udp\n")
	for _, want := range []string{`a.txtar:4  unknown word "sned"`, "a.txtar:5  "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(goodNetwork))
	f.Add([]byte(`[{"Type":"ACL"},{"IpConfigurations":[{}]}]`))
	f.Add([]byte("\xef\xbb\xbf[[]]"))
	c := mkChecker(hcn.ProfileNames()...)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, found := range c.document("f", "", text) {
			if found.Message == "" {
				t.Errorf("a finding without a message: %+v", found)
			}
		}
	})
}
