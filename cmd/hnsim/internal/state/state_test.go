package state

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf16"
)

const network = `{"ID":"11111111-2222-3333-4444-555555555555","Name":"my net","Type":"L2Bridge","Subnets":[{"AddressPrefix":"10.1.2.0/24","GatewayAddress":"10.1.2.1"}],"Resources":{"ID":"x"},"State":1}`

const endpoint = `{"ID":"aaaaaaaa-2222-3333-4444-555555555555","Name":"web","VirtualNetwork":"11111111-2222-3333-4444-555555555555","IPAddress":"10.1.2.9","PrefixLength":24,"MacAddress":"00-15-5D-01-02-03"}`

func utf16Of(text string, mark bool) []byte {
	var out []byte
	if mark {
		out = []byte{0xff, 0xfe}
	}
	for _, u := range utf16.Encode([]rune(text)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

func TestWhatPowerShellPrintsIsRead(t *testing.T) {
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"one object", []byte(network), "1 network"},
		{"a list", []byte("[" + network + "," + endpoint + "]"), "1 network, 1 endpoint"},
		{"two values", []byte(network + "\r\n" + endpoint), "1 network, 1 endpoint"},
		{"UTF-8 with a mark", append([]byte{0xef, 0xbb, 0xbf}, network...), "1 network"},
		{"UTF-16 with a mark", utf16Of(network, true), "1 network"},
		{"UTF-16 without one", utf16Of(network, false), "1 network"},
		{"an answer of HNS", []byte(`{"Success":true,"Output":[` + network + `]}`), "1 network"},
		{"a property of PowerShell", []byte(`{"value":[` + network + `,` + endpoint + `],"Count":2}`), "1 network, 1 endpoint"},
		{"a policy list", []byte(network + endpoint + `{"ID":"bbbbbbbb-2222-3333-4444-555555555555","References":["/endpoints/aaaaaaaa-2222-3333-4444-555555555555"],"Policies":[{"Type":"ELB","VIPs":["10.1.2.100"],"InternalPort":80,"ExternalPort":80,"Protocol":6}]}`), "1 network, 1 endpoint, 1 loadbalancer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &State{}
			if err := s.Read("f.json", c.text); err != nil || s.Count() != c.want {
				t.Errorf("%s, %v; want %s", s.Count(), err, c.want)
			}
		})
	}
}

func TestBadInputIsNamed(t *testing.T) {
	zipOf := func(files ...string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for i := 0; i < len(files); i += 2 {
			w, _ := z.Create(files[i])
			fmt.Fprint(w, files[i+1])
		}
		z.Close()
		return b.Bytes()
	}
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"nothing", nil, "f: it is empty; expected the output of Get-HnsNetwork"},
		{"no JSON", []byte("\n\nName : nat\n"), "f:3: not JSON"},
		{"cut off", []byte(network[:40]), "f:1: not JSON"},
		{"a number", []byte("[1]"), "f: at [0]: expected an object or a list of objects, found 1"},
		{"something else", []byte(`[{"Cheese":"Gouda"}]`), `f: at [0]: found an object that is no network, endpoint, namespace, load balancer, route or policy list: {"Cheese":"Gouda"}`},
		{"a refusal", []byte(`{"Success":false,"Error":"no such network"}`), "this is a refusal of HNS, no object: no such network"},
		{"the same twice", []byte(network + network), "is there twice"},
		{"a type that is none", []byte(strings.Replace(network, `"L2Bridge"`, `5.5`, 1)), "At Type"},
		{"half of UTF-16", utf16Of(network, true)[:33], "it is cut off"},
		{"no text", []byte{'{', 0xff, 0xfe, 0xfd}, "neither UTF-8 nor UTF-16"},
		{"a zip that is none", []byte("PK\x03\x04rest"), "the zip cannot be read"},
		{"another zip", zipOf("a.txt", "x"), "no manifest.json: expected a zip of hnsim collect"},
		{"a later zip", zipOf("manifest.json", `{"schema":"hnsim.state/9"}`), `has the schema "hnsim.state/9", expected "hnsim.state/1"`},
		{"a zip with a file twice", zipOf("manifest.json", `{}`, "routes.json", "[]", "routes.json", "[]"), "routes.json is there twice"},
		{"a zip with folders", zipOf("../manifest.json", "{}"), "is in a folder"},
		{"a zip with bad parts", zipOf("manifest.json", `{"schema":"hnsim.state/1"}`, "networks.json", "[{]"), "networks.json:1: not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := (&State{}).Read("f", c.text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant %s", err, c.want)
			}
		})
	}
}

// common is how many bits two addresses share at the front.
func common(a, b netip.Addr) int {
	for n := a.BitLen(); ; n-- {
		if p, err := a.Prefix(n); err == nil && p.Contains(b) {
			return n
		}
	}
}

func TestAnonymousAddressesKeepTheirPrefixes(t *testing.T) {
	a := anonymizer{[]byte("key")}
	rnd := rand.New(rand.NewPCG(1, 2))
	changed := 0
	for range 3000 {
		x := netip.AddrFrom4([4]byte(bytes4(rnd.Uint32())))
		y := netip.AddrFrom4([4]byte(bytes4(rnd.Uint32())))
		if rnd.IntN(2) == 0 { // a near one
			b := x.As4()
			b[rnd.IntN(4)] ^= 1 << rnd.IntN(8)
			y = netip.AddrFrom4(b)
		}
		ax, ay := a.addr(x, 32), a.addr(y, 32)
		if common(ax, ay) != common(x, y) {
			t.Fatalf("%s and %s share %d bits, %s and %s %d", x, y, common(x, y), ax, ay, common(ax, ay))
		}
		for _, k := range kept {
			if k.prefix.Contains(x) != k.prefix.Contains(ax) || k.closed && k.prefix.Contains(x) && x != ax {
				t.Fatalf("%s became %s: %s stays where it is", x, ax, k.prefix)
			}
		}
		if ax != x {
			changed++
		}
	}
	if changed < 2000 {
		t.Errorf("only %d of 3000 addresses changed", changed)
	}
	six := netip.MustParseAddr("fd00:1:2::3")
	if got := a.addr(six, 128); got == six || !netip.MustParsePrefix("fc00::/7").Contains(got) {
		t.Errorf("%s became %s", six, got)
	}
}

func bytes4(v uint32) []byte { return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)} }

func TestAnonymousTextKeepsEverythingElse(t *testing.T) {
	in := `{"Prefix":"10.1.2.0/24","Ip":"10.1.2.9","Any":"0.0.0.0/0","V6":"fd00:1:2::3","Mac":"00-15-5D-01-02-03","Pool":"00-15-5D-01-0F-FF","Version":"10.0.26100.1","Id":"11111111-2222-3333-4444-555555555555","Vip":"10.1.2.9:80","Path":"C:\\a\\10.1.2.9","N":10}`
	a := anonymizer{[]byte("another key")}
	out := string(a.text([]byte(in)))
	for _, same := range []string{`"0.0.0.0/0"`, `"10.0.26100.1"`, `11111111-2222-3333-4444-555555555555`, `"N":10`, `"00-15-5D-`, `.0/24"`} {
		if !strings.Contains(out, same) {
			t.Errorf("%s is gone in %s", same, out)
		}
	}
	ip := a.addr(netip.MustParseAddr("10.1.2.9"), 32).String()
	for _, want := range []string{`"Ip":"` + ip + `"`, `"Vip":"` + ip + `:80"`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in %s", want, out)
		}
	}
	if strings.Contains(out, "fd00:1:2::3") || strings.Contains(out, "5D-01-02-03") {
		t.Errorf("not everything is replaced: %s", out)
	}
	if again := string(a.text([]byte(in))); again != out {
		t.Error("the same text becomes another one")
	}
}

func TestWhatIsLeftOutIsSaid(t *testing.T) {
	s := &State{}
	if err := s.Read("f", []byte(endpoint)); err != nil {
		t.Fatal(err)
	}
	_, notes, err := s.Scenario(Options{ID: "X-1", Title: "t"})
	if err == nil || len(notes) != 1 || !strings.Contains(notes[0], "its network 11111111-2222-3333-4444-555555555555 is not in the state") {
		t.Errorf("%v, %v", notes, err)
	}
}

func TestWhatSurroundsDoesNotHideObjects(t *testing.T) {
	s := &State{Other: map[string]json.RawMessage{"routes": json.RawMessage("{}")}}
	if err := s.WriteZip(&bytes.Buffer{}); err == nil {
		t.Error("two files with one name")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(network + endpoint))
	f.Add(utf16Of(network, true))
	f.Add([]byte(`[{"ID":"x","Type":"Overlay","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.0.0.0/8"}]}]},{"HostComputeNetwork":"X","Name":"${id:a}"}]`))
	s := &State{}
	_ = s.Read("f", []byte(network+endpoint))
	var z bytes.Buffer
	_ = s.WriteZip(&z)
	f.Add(z.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &State{}
		if err := s.Read("f", data); err != nil {
			if !strings.HasPrefix(err.Error(), "f") {
				t.Errorf("an error without the file: %v", err)
			}
			return
		}
		// What was read can be written and is the same again.
		var z bytes.Buffer
		if err := s.WriteZip(&z); err != nil {
			t.Fatalf("not written: %v", err)
		}
		again := &State{}
		if err := again.Read("f", z.Bytes()); err != nil || again.Count() != s.Count() {
			t.Errorf("%v: %s, was %s", err, again.Count(), s.Count())
		}
		_, _, _ = s.Scenario(Options{ID: "F-1", Title: "fuzz"})
	})
}
