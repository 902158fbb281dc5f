package recording

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/backendtest"
	"github.com/hnsim/hnsim/backends/codec"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

var update = os.Getenv("UPDATE") != ""

// mkRecording records what use does with one world of the model.
func mkRecording(t testing.TB, use func(backends.World)) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := NewWriter(&file, mkHeader(t))
	if err != nil {
		t.Fatal(err)
	}
	b := Wrap(simulated.Backend{}, w).(backends.ByScenario).ForScenario("S-T-01")
	world, err := b.Open(context.Background(), backends.WorldConfig{Seed: 7, Profile: "ws2022"})
	if err != nil {
		t.Fatal(err)
	}
	use(world)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func mkHeader(t testing.TB) Header {
	t.Helper()
	h, err := Describe(simulated.Backend{}, "ws2022")
	if err != nil {
		t.Fatal(err)
	}
	h.Version, h.Date, h.Seed = "v1", time.Date(2026, 5, 11, 10, 30, 0, 0, time.UTC), 7
	return h
}

// visit makes one call of every kind, good and bad ones.
func visit(w backends.World) {
	ctx := context.Background()
	_ = w.AddNode(ctx, backends.Node{Kind: backends.HostNode, Name: "h1", Ifaces: []backends.Iface{{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}}})
	_ = w.AddNode(ctx, backends.Node{Kind: backends.ExternalNode, Name: "x", Ifaces: []backends.Iface{{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}}}})
	_ = w.SetLink(ctx, backends.Link{Node: "x", Delay: time.Millisecond})
	doc := []byte(`{"Name":"tr","Type":"Transparent","SchemaVersion":{"Major":2,"Minor":0}}`)
	_, _ = w.HCN(ctx, backends.HCNOp{Host: "h1", Kind: "network", Verb: "create", Body: doc})
	_, _ = w.HCN(ctx, backends.HCNOp{Host: "h1", Kind: "network", Verb: "create", Body: doc})
	_, _ = w.HCN(ctx, backends.HCNOp{Host: "h1", Kind: "hnscall", Verb: "POST", Path: "/networks/", Body: []byte("\xff{no json")})
	_ = w.AddContainer(ctx, backends.Container{Name: "c", Host: "h9"})
	out, _ := w.Do(ctx, backends.Stimulus{Kind: backends.SendPacket, Role: "h1", Proto: "udp", Dst: netip.MustParseAddrPort("10.0.0.2:53"), Payload: []byte("hi")})
	_ = w.Advance(ctx, time.Second)
	_ = w.Set(ctx, backends.Setting{Node: "h1", Name: "no.such"})
	w.Trace(out.ID)
	_, _ = w.Dump(ctx, "arp h1")
	w.Invariants()
	w.EventHash()
	_, _ = w.Close(ctx)
}

func TestARecorderKeepsTheContract(t *testing.T) {
	w, err := NewWriter(io.Discard, mkHeader(t))
	if err != nil {
		t.Fatal(err)
	}
	backendtest.Run(t, Wrap(simulated.Backend{}, w))
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// programs is a backend that can run programs.
type programs struct{ backends.Backend }

func (programs) Capabilities() []backends.Capability {
	return []backends.Capability{backends.RawFrames, backends.Programs}
}

func TestProgramsDoNotRunWhileSomethingIsRecorded(t *testing.T) {
	b := Wrap(programs{simulated.Backend{}}, nil)
	h, err := Describe(programs{simulated.Backend{}}, "ws2022")
	if err != nil {
		t.Fatal(err)
	}
	for _, caps := range [][]backends.Capability{b.Capabilities(), h.Capabilities} {
		if len(caps) != 1 || caps[0] != backends.RawFrames {
			t.Error(caps)
		}
	}
	if why := b.(backends.Explainer).WhyNot(backends.Programs); !strings.Contains(why, "not part of a recording") {
		t.Error(why)
	}
}

func TestWhatIsReadIsWhatHappened(t *testing.T) {
	var seen []backends.Observation
	rec, err := Read(bytes.NewReader(mkRecording(t, func(w backends.World) {
		visit(w)
		seen = w.Observations()
	})))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rec.Header, mkHeader(t); !reflect.DeepEqual(got, want) {
		t.Errorf("header %+v, want %+v", got, want)
	}
	w := rec.Worlds["S-T-01"][0]
	if !w.Complete || w.Config.Seed != 7 {
		t.Errorf("complete %v, config %+v", w.Complete, w.Config)
	}
	var names []string
	var got []backends.Observation
	for _, e := range w.Entries {
		names = append(names, e.Call.Name)
		for _, o := range e.Seen {
			o.Seq = len(got)
			got = append(got, o)
		}
	}
	const want = "AddNode AddNode SetLink HCN HCN HCN AddContainer Do Advance Set Trace Dump Invariants EventHash Invariants Close"
	if strings.Join(names, " ") != want {
		t.Errorf("calls %v", names)
	}
	if len(got) == 0 || !reflect.DeepEqual(got, seen) {
		t.Errorf("%d observations were read, %d were made, or they differ", len(got), len(seen))
	}
	if e := w.Entries[3]; e.Err != nil || e.HCN.ID == "" || !strings.Contains(string(e.HCN.Document), `"tr"`) {
		t.Errorf("created: %+v", e)
	}
	var usage *backends.UsageError
	if e := w.Entries[4]; !errors.Is(e.Err, hcn.ErrNetworkAlreadyExists) {
		t.Errorf("refused: %v", e.Err)
	}
	if e := w.Entries[5]; e.Err == nil || !strings.Contains(e.Call.Args, "base64") {
		t.Errorf("no JSON: %+v", e)
	}
	if e := w.Entries[9]; !errors.As(e.Err, &usage) {
		t.Errorf("nonsense: %v", e.Err)
	}
	if e := w.Entries[7]; !e.Outcome.OK || e.Outcome.Local.Port() == 0 {
		t.Errorf("sent: %+v", e.Outcome)
	}
}

// timed is a backend whose worlds have measured something.
type timed struct{ simulated.Backend }

type timedWorld struct{ backends.World }

func (b timed) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	w, err := b.Backend.Open(ctx, cfg)
	return timedWorld{w}, err
}

func (timedWorld) Measurements() map[string]time.Duration {
	return map[string]time.Duration{"endpoint.ready": 3 * time.Second}
}

func TestMeasurementsAreRecorded(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, mkHeader(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	world, err := Wrap(timed{}, w).Open(ctx, backends.WorldConfig{Seed: 7, Profile: "ws2022"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := world.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	rec, err := Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range rec.Worlds[""][0].Entries {
		if e.Call == Measurements() && e.Took["endpoint.ready"] == 3*time.Second {
			return
		}
	}
	t.Errorf("no measurement in %+v", rec.Worlds[""][0].Entries)
}

// The arguments of every call are part of the format: recordings that exist
// must stay answers to the same calls.
func TestTheFormOfCallsStays(t *testing.T) {
	mac := wire.MustMAC("00-15-5D-00-00-01")
	calls := []Call{
		AddNode(backends.Node{Kind: backends.RouterNode, Name: "r", Ifaces: []backends.Iface{{Name: "lan", Segment: "lan", MAC: mac, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}, Gateway: netip.MustParseAddr("10.0.0.9"), MTU: 1400, VLAN: 7}},
			Routes: []backends.Route{{Dst: netip.MustParsePrefix("10.1.0.0/16"), Via: netip.MustParseAddr("10.0.0.2")}}, Outer: map[string]string{"spoofing": "on"}, Options: map[string]string{"dhcp-server": "on"}}),
		SetLink(backends.Link{Node: "h1", Iface: "Ethernet", MTU: 1400, Delay: time.Millisecond, Loss: 0.5, Reorder: 0.25, RateBps: 1000, Down: true}),
		HCN(backends.HCNOp{Host: "h1", Kind: "endpoint", Verb: "create", ID: "i", Parent: "p", Path: "/x", Body: []byte(`{"B":1, "A":0}`)}),
		AddContainer(backends.Container{Name: "c", Host: "h1", Endpoints: []string{"e"}, Namespace: "n", Shares: "o", Isolation: "hyperv", NoAttach: true, NoStart: true}),
		Do(backends.Stimulus{Kind: backends.SendPacket, Role: "c", Proto: "udp", Src: netip.AddrPortFrom(netip.Addr{}, 80), Dst: netip.MustParseAddrPort("10.0.0.2:53"), TTL: 64, DF: true, TOS: 1, IPID: 2,
			Payload: []byte("hi"), TCPFlags: "S", Seq: 3, Ack: 4, ICMPType: 8, ICMPCode: 1, ICMPID: 5, ICMPSeq: 6, NoChecksum: true, Fragments: []int{8, 0}, FragmentOrder: []int{1, 0}, Frame: []byte{1}, OnWire: true,
			Count: 2, Every: time.Second, Reply: []byte("ok"), Timeout: time.Minute}),
		Do(backends.Stimulus{Kind: backends.Ping, Role: "c", Dst: netip.AddrPortFrom(netip.MustParseAddr("fe80::1"), 0)}),
		Advance(time.Second), Set(backends.Setting{Node: "h1", Name: "socket", Value: "tcp:1"}),
		Trace(7), Dump("nat h1"), EventHash(), Invariants(), Measurements(), Close(),
	}
	var text strings.Builder
	for _, c := range calls {
		text.WriteString(c.Name + " " + c.Args + "\n")
	}
	file := filepath.Join("testdata", "calls.golden")
	if update {
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("calls are written as\n%s\nwant\n%s\nA change makes recordings useless: raise the version of Schema with it (UPDATE=1 rewrites the file)", text.String(), want)
	}
}

func TestEndsKeepWhatTheyHave(t *testing.T) {
	for _, a := range []netip.AddrPort{
		{}, netip.AddrPortFrom(netip.Addr{}, 80), netip.MustParseAddrPort("10.0.0.1:5"), netip.MustParseAddrPort("[fe80::1]:5"),
		netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), 0), netip.AddrPortFrom(netip.MustParseAddr("fe80::1"), 0),
	} {
		b, err := codec.End(a).MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back codec.End
		if err := back.UnmarshalText(b); err != nil || netip.AddrPort(back) != a {
			t.Errorf("%v became %q and then %v (%v)", a, b, netip.AddrPort(back), err)
		}
	}
}

// deviant declares something about itself.
type deviant struct{ simulated.Backend }

func (deviant) Deviations() (string, []byte) { return "d.expect", []byte("differ nat/** reason=x\n") }

func TestDeclaredDeviationsTravelWithTheRecording(t *testing.T) {
	h, err := Describe(deviant{}, "ws2022")
	if err != nil || h.Deviations == nil || *h.Deviations != (Deviations{"d.expect", "differ nat/** reason=x\n"}) {
		t.Errorf("%v %+v", err, h.Deviations)
	}
	var file bytes.Buffer
	w, err := NewWriter(&file, h)
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	rec, err := Read(&file)
	if err != nil || !reflect.DeepEqual(rec.Header.Deviations, h.Deviations) {
		t.Errorf("%v %+v", err, rec)
	}
	if name, _ := Wrap(deviant{}, nil).(backends.Deviator).Deviations(); name != "d.expect" {
		t.Errorf("the recorder declares %q", name)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	for _, err := range []error{
		&backends.UsageError{Msg: "no role"}, &backends.UnansweredError{Msg: "not known"}, &backends.UnsupportedError{Msg: "no VLANs"},
		&hcn.Error{Code: hcn.ErrNetworkAlreadyExists, Detail: "twice", Path: "Name", Found: "a", Expected: "b", Line: 3, Column: 4}, errors.New("fire"), nil,
	} {
		if back := codec.FaultOf(err).Err(); !reflect.DeepEqual(back, err) {
			t.Errorf("%#v became %#v", err, back)
		}
	}
}

func TestATornRecordingSaysHowMuchIsUsable(t *testing.T) {
	whole := mkRecording(t, visit)
	for _, keep := range []int{len(whole) - 1, len(whole) - 30, len(whole) / 2} {
		rec, err := Read(bytes.NewReader(whole[:keep]))
		var torn *TornError
		if !errors.As(err, &torn) || rec == nil {
			t.Fatalf("%d of %d bytes: %v", keep, len(whole), err)
		}
		if torn.Lines < 1 || !strings.Contains(err.Error(), "worlds in it are complete") {
			t.Errorf("%v", err)
		}
	}
	// A writer that died leaves what was flushed.
	var file bytes.Buffer
	w, _ := NewWriter(&file, mkHeader(t))
	b := Wrap(simulated.Backend{}, w).(backends.ByScenario)
	for _, name := range []string{"S-T-01", "S-T-02"} {
		world, err := b.ForScenario(name).Open(context.Background(), backends.WorldConfig{})
		if err != nil {
			t.Fatal(err)
		}
		visit(world)
	}
	rec, err := Read(&file)
	var torn *TornError
	if !errors.As(err, &torn) || torn.Complete != 2 || len(rec.Worlds) != 2 {
		t.Errorf("%v", err)
	}
}

// zipped is the file that holds this text.
func zipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.Bytes()
}

const head = `{"schema":"hnsim.recording/1","recording":{"backend":"b","profile":"p"}}` + "\n"

func TestFilesThatAreNoRecordingsAreRefusedWithAPlace(t *testing.T) {
	const open = `{"world":1,"open":{"scenario":"s","config":{}}}` + "\n"
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"plain text", []byte("hello"), "expected gzip"},
		{"nothing", zipped(""), "ends before its header"},
		{"another schema", zipped(`{"schema":"hnsim.events/1"}` + "\n"), "line 1: this is no recording"},
		{"a later version", zipped(`{"schema":"hnsim.recording/2"}` + "\n"), "line 1: the recording is hnsim.recording/2"},
		{"a header without backend", zipped(`{"schema":"hnsim.recording/1","recording":{}}` + "\n"), "line 1: the header"},
		{"no JSON", zipped(head + "{\n"), "line 2: this is no line"},
		{"a call of no world", zipped(head + `{"world":1,"call":"Do"}` + "\n"), "line 2: world 1 was not opened"},
		{"worlds out of order", zipped(head + `{"world":2,"open":{"scenario":"s","config":{}}}` + "\n"), "line 2: world 2 is opened"},
		{"a sight before any call", zipped(head + open + `{"world":1,"seen":{"kind":"wire","role":"h","frame":""}}` + "\n"), "line 3: something is seen"},
		{"a frame like one that was not seen", zipped(head + open + `{"world":1,"call":"Do"}` + "\n" + `{"world":1,"seen":{"kind":"wire","role":"h","as":1}}` + "\n"), "line 4: a frame like that of observation 1"},
		{"a call behind the close", zipped(head + open + `{"world":1,"call":"Close"}` + "\n" + `{"world":1,"call":"Do"}` + "\n"), "line 4: world 1 (s) was closed"},
		{"an answer of another kind", zipped(head + open + `{"world":1,"call":"Do","result":"x"}` + "\n"), "line 3: Do of world 1"},
		{"an end that miscounts", zipped(head + `{"end":{"worlds":3}}` + "\n"), "line 2: the end line counts 3"},
		{"more behind the end", zipped(head + `{"end":{"worlds":0}}` + "\n" + open), "line 3: there is something behind"},
		{"an endless line", zipped(head + strings.Repeat("x", MaxLine+10)), "line 2: a line of more than 16 MB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(tt.file))
			var bad *FormatError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := read(bytes.NewReader(zipped(head+strings.Repeat("{}\n", 5000))), 4096); err == nil || !strings.Contains(err.Error(), "of text") {
		t.Errorf("a file that unpacks without end: %v", err)
	}
	if _, err := Read(bytes.NewReader(zipped(head + `{"later":1}` + "\n" + `{"end":{"worlds":0}}` + "\n"))); err != nil {
		t.Errorf("a line of a later minor version: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	z, err := gzip.NewReader(bytes.NewReader(mkRecording(f, visit)))
	if err != nil {
		f.Fatal(err)
	}
	whole, err := io.ReadAll(z)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(head + `{"end":{"worlds":0}}` + "\n"))
	f.Add([]byte(head + `{"world":1,"open":{}}` + "\n" + `{"world":1,"call":"HCN","result":{"document":{"base64":"/w=="}},"error":{"hcn":{"code":1}}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = Read(bytes.NewReader(data))
		rec, err := Read(bytes.NewReader(zipped(string(data))))
		var torn *TornError
		if (err == nil || errors.As(err, &torn)) && rec == nil {
			t.Error("nothing was read, and nothing is wrong")
		}
		if err != nil && err.Error() == "" {
			t.Error("an error without a word")
		}
	})
}
