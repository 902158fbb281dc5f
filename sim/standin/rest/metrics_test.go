package rest

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/standin"
)

var (
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)`)
)

// parseMetrics reads the text format of Prometheus, and is stricter than
// Prometheus: HELP, TYPE, samples, in this order, each family once, each
// sample once, histograms complete and ascending.
func parseMetrics(text string) (map[string]float64, error) {
	samples, families := map[string]float64{}, map[string]string{}
	family, help := "", ""
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		fail := func(format string, args ...any) error {
			return fmt.Errorf("line %d, %q: %s", i+1, line, fmt.Sprintf(format, args...))
		}
		words := strings.SplitN(line, " ", 4)
		switch {
		case strings.HasPrefix(line, "# HELP ") && len(words) == 4:
			help = words[2]
		case strings.HasPrefix(line, "# TYPE ") && len(words) == 4:
			family = words[2]
			if _, twice := families[family]; twice || help != family || !slices.Contains([]string{"counter", "gauge", "histogram"}, words[3]) {
				return nil, fail("a family twice, without HELP, or of no type")
			}
			if strings.HasSuffix(family, "_total") != (words[3] == "counter") {
				return nil, fail("counters, and only they, end in _total")
			}
			families[family] = words[3]
		default:
			m := sampleLine.FindStringSubmatch(line)
			if m == nil {
				return nil, fail("no sample")
			}
			name := m[1]
			if families[family] == "histogram" {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					name = strings.TrimSuffix(name, suffix)
				}
			}
			v, err := strconv.ParseFloat(m[3], 64)
			if _, twice := samples[m[1]+"{"+m[2]+"}"]; err != nil || name != family || twice {
				return nil, fail("not of the family %s, twice, or no number", family)
			}
			for rest := m[2]; rest != ""; {
				pair := labelPair.FindString(rest)
				if pair == "" {
					return nil, fail("labels")
				}
				rest = rest[len(pair):]
			}
			samples[m[1]+"{"+m[2]+"}"] = v
		}
	}
	return samples, checkHistograms(samples, families)
}

func checkHistograms(samples map[string]float64, families map[string]string) error {
	for family, kind := range families {
		if kind != "histogram" {
			continue
		}
		for key, n := range samples {
			labels, ok := strings.CutPrefix(key, family+"_count{")
			if !ok {
				continue
			}
			last := 0.0
			for _, b := range append(slices.Clone(bounds), 0) {
				le := number(b)
				if b == 0 {
					le = "+Inf"
				}
				v, ok := samples[family+"_bucket{"+strings.TrimSuffix(labels, "}")+`,le="`+le+`"}`]
				if !ok || v < last {
					return fmt.Errorf("%s: bucket %s is missing, or less than the one before", key, le)
				}
				last = v
			}
			if last != n {
				return fmt.Errorf("%s: %v calls, %v in all buckets", key, n, last)
			}
		}
	}
	return nil
}

func TestMetricsCountWhatHappens(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	net := l.create("/v1/networks", natDoc)
	l.pod("h1", net, "web", "")
	l.must(http.StatusNotFound, "GET", "/v1/networks/"+unknownID, "")
	l.walk("h1", "web", "icmp > 10.127.130.36")
	l.walk("h1", "web", "icmp > 10.127.130.99")
	c, err := standin.Dial(l.st.Addr(), l.st.Token(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, f := range []string{"HcnOpenService", "HcnOpenService", "Mine\"\\", "Mine2"} {
		if _, err := c.Call(standin.Request{Function: f}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := standin.Dial(l.st.Addr(), "wrong", "", 1); err == nil {
		t.Fatal("a wrong token is taken")
	}
	_, text, header := l.send("GET", "/metrics", "")
	if got := header.Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Error(got)
	}
	samples, err := parseMetrics(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for key, want := range map[string]float64{
		`hnsim_info{profile="ws2025",hns="16.0",os_build="26100"}`:                                1,
		`hnsim_calls_total{via="http",function="HcnCreateNetwork",hresult="0x00000000"}`:          1,
		`hnsim_calls_total{via="http",function="HcnQueryNetworkProperties",hresult="0x803b0001"}`: 1,
		`hnsim_calls_total{via="http",function="trace",hresult="0x00000000"}`:                     2,
		`hnsim_calls_total{via="dll",function="HcnOpenService",hresult="0x00000000"}`:             2,
		`hnsim_calls_total{via="dll",function="other",hresult="0x80004001"}`:                      2,
		`hnsim_call_duration_seconds_count{function="HcnOpenService"}`:                            2,
		`hnsim_call_duration_seconds_bucket{function="HcnOpenService",le="+Inf"}`:                 2,
		`hnsim_objects{host="h1",kind="endpoint"}`:                                                1,
		`hnsim_objects{host="h1",kind="namespace"}`:                                               2,
		`hnsim_objects{host="h2",kind="network"}`:                                                 0,
		`hnsim_sessions{}`:                                 1,
		`hnsim_handles{}`:                                  2,
		`hnsim_connections_refused_total{}`:                1,
		`hnsim_drops_total{host="h1",reason="NoNeighbor"}`: 1,
	} {
		if got, ok := samples[key]; !ok || got != want {
			t.Errorf("%s is %v (there: %v), want %v", key, got, ok, want)
		}
	}
	for _, key := range []string{`hnsim_packets_total{host="h1",point="wire",direction="tx"}`, `hnsim_packets_total{host="h2",point="stack",direction="rx"}`,
		`hnsim_virtual_time_seconds{}`, `hnsim_connections{}`} {
		if samples[key] <= 0 {
			t.Errorf("%s is %v", key, samples[key])
		}
	}
	if t.Failed() {
		t.Log(strings.Join(slices.Sorted(maps.Keys(samples)), "\n"))
	}
}

func TestLabelsAreEscaped(t *testing.T) {
	var out text
	out.family("m_total", "counter", "x")
	out.sample("m_total", 1.5, "a", "b\\c\"d\ne", "f", "g")
	want := "# HELP m_total x\n# TYPE m_total counter\nm_total{a=\"b\\\\c\\\"d\\ne\",f=\"g\"} 1.5\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
	if _, err := parseMetrics(out.String()); err != nil {
		t.Error(err)
	}
}
