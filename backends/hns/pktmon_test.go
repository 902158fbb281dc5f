package hns

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/hnsim/hnsim/sim/wire"
)

// toolbox stands for pktmon.exe: it says what Windows says, and writes captures.
type toolbox struct {
	calls  []string
	status string
	list   string
	pcapng []byte
	fail   string // the command that fails
}

func (b *toolbox) run(args ...string) ([]byte, error) {
	b.calls = append(b.calls, strings.Join(args, " "))
	if args[0] == b.fail {
		return nil, errors.New("access is denied")
	}
	switch args[0] {
	case "status":
		return []byte(b.status), nil
	case "list":
		return []byte(b.list), nil
	case "counters":
		return os.ReadFile("testdata/counters.json")
	case "start":
		return nil, os.WriteFile(args[slices.Index(args, "--file-name")+1], []byte("etl"), 0o644)
	case "etl2pcap":
		return nil, os.WriteFile(args[slices.Index(args, "--out")+1], b.pcapng, 0o644)
	}
	return nil, nil
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// mkPcapng writes frames, one every so often.
func mkPcapng(t testing.TB, every time.Duration, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1700000000, 0)
	for _, f := range frames {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(f), Length: len(f)}, f); err != nil {
			t.Fatal(err)
		}
		at = at.Add(every)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func frame(port uint16) []byte {
	f := wire.Frame{EthSrc: wire.MustMAC("00-15-5D-82-00-23"), EthDst: wire.MustMAC("00-15-5D-82-00-26"),
		IP: &wire.IPFields{Src: netip.MustParseAddr("10.127.130.35"), Dst: netip.MustParseAddr("10.127.130.38")}, UDP: &wire.UDPFields{SrcPort: port, DstPort: 4789}}
	return f.Bytes()
}

const idle = "\nPacket Monitor is not running.\n"

func TestACaptureFromStartToEnd(t *testing.T) {
	dir := t.TempDir()
	b := &toolbox{status: idle, list: string(read(t, "list.txt")), pcapng: mkPcapng(t, time.Millisecond, frame(1), frame(2))}
	p, err := newPktmon(b.run, dir, "0badcafe", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		frames, err := p.take()
		if err != nil || len(frames) != 2 || !bytes.Equal(frames[1].frame, frame(2)) || frames[1].at.Sub(frames[0].at) != time.Millisecond {
			t.Fatalf("%v, %v", frames, err)
		}
		if !p.owns(frames[0].frame[6:12]) || p.owns(frames[0].frame[:6]) {
			t.Error("the adapter does not know its address")
		}
	}
	drops, err := p.drops()
	want := []dropCount{
		{"Intel(R) Ethernet Connection X722 for 10GbE SFP+", "Drop Counter", 12, "FL_InterfaceNotReady"},
		{"nat", "Drop Counter", 3, "Blocked by VFP"},
	}
	if err != nil || !slices.Equal(drops, want) {
		t.Errorf("%+v, %v", drops, err)
	}
	if err := p.discard(); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("files are left: %v", files)
	}
	starts, stops := 0, 0
	for _, c := range b.calls {
		if strings.HasPrefix(c, "start --capture --pkt-size 0 --comp 11 ") {
			starts++
		}
		if c == "stop" {
			stops++
		}
		if strings.HasPrefix(c, "filter") {
			t.Errorf("%s: filters are everybody's", c)
		}
	}
	if starts != 3 || stops != 3 {
		t.Errorf("started %d times, stopped %d: %v", starts, stops, b.calls)
	}
}

func TestNoCaptureHasAReason(t *testing.T) {
	list := string(read(t, "list.txt"))
	second := strings.Replace(list, "HTTP Message", " 12 00-15-5D-82-00-24 Other NIC\n\nHTTP Message", 1)
	for name, tt := range map[string]struct {
		b       toolbox
		adapter string
		why     string
	}{
		"no privilege":       {toolbox{fail: "status"}, "", "as administrator"},
		"in use":             {toolbox{status: "Collected data:\n  Packet counters, packet capture\n"}, "", "in use by somebody else"},
		"no adapter":         {toolbox{status: idle}, "", "0 adapters"},
		"two adapters":       {toolbox{status: idle, list: second}, "", "--adapter"},
		"an unknown adapter": {toolbox{status: idle, list: list}, "Wi-Fi", `no adapter "Wi-Fi"`},
	} {
		if _, err := newPktmon(tt.b.run, "", "", tt.adapter); err == nil || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %v, want %q", name, err, tt.why)
		}
	}
	b := toolbox{status: idle, list: second}
	if p, err := newPktmon(b.run, "", "", "other nic"); err != nil || p.component.id != 12 {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestOneFrameIsOne: pktmon sees a frame when it enters a component and when it
// leaves.
func TestOneFrameIsOne(t *testing.T) {
	both, err := parsePcapng(mkPcapng(t, 10*time.Microsecond, frame(1), frame(1), frame(2)))
	if err != nil || len(both) != 2 {
		t.Errorf("%d frames, %v", len(both), err)
	}
	again, err := parsePcapng(mkPcapng(t, time.Millisecond, frame(1), frame(1)))
	if err != nil || len(again) != 2 {
		t.Errorf("%d frames that were sent twice, %v", len(again), err)
	}
	if none, err := parsePcapng(nil); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
	if _, err := parsePcapng([]byte("no capture")); err == nil {
		t.Error("anything is a capture")
	}
}

func FuzzPktmon(f *testing.F) {
	f.Add(read(f, "list.txt"))
	f.Add(read(f, "counters.json"))
	f.Add(mkPcapng(f, time.Microsecond, frame(1), frame(2)))
	f.Add([]byte(`{"Packets":1,"DropReason":"x","Inbound":{"Inbound":{"Packets":18446744073709551616}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, c := range parseComponents(string(raw)) {
			if c.name == "" || len(c.mac) != 6 {
				t.Errorf("%+v", c)
			}
		}
		drops, _ := parseDrops(raw)
		for _, d := range drops {
			if d.Packets == 0 || d.Reason == "" {
				t.Errorf("%+v", d)
			}
		}
		_, _ = parsePcapng(raw)
	})
}
