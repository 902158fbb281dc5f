package reports

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

func mkFrame(t testing.TB, payload string) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
	udp := &layers.UDP{SrcPort: 40000, DstPort: 7}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4},
		ip, udp, gopacket.Payload(payload))
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// mkCapture is a capture of two points with a packet that passes both, one
// that is dropped, and odd lengths.
func mkCapture(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewPcapngWriter(&b, "S-NAT-05 seed 7\x00")
	if err != nil {
		t.Fatal(err)
	}
	c1, err := w.Interface("c1 nic", "container c1")
	if err != nil {
		t.Fatal(err)
	}
	packets := []CapturedPacket{
		{Interface: c1, At: 0, Frame: mkFrame(t, strings.Repeat("x", 19)), ID: 7, Direction: Outbound},
		{Interface: 1, At: 241*time.Second + 3, Frame: mkFrame(t, strings.Repeat("y", 20)), ID: 7, Direction: Inbound, Comments: []string{"after nat"}},
		{Interface: 2, At: 5_000_000_123_456_789, Frame: mkFrame(t, strings.Repeat("z", 1457)), ID: 1 << 63, Comments: []string{"drop NatNoMapping at h1 wan", "second"}},
	}
	for i, p := range packets {
		if i == 1 {
			for _, name := range []string{"wire h1", "drop h1"} {
				if _, err := w.Interface(name, ""); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Packet(p); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestACaptureDecodesWithAnIndependentReader(t *testing.T) {
	r, err := pcapgo.NewNgReader(bytes.NewReader(mkCapture(t)), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.SectionInfo().Comment; got != "S-NAT-05 seed 7" {
		t.Errorf("section comment %q", got)
	}
	want := []struct {
		iface    string
		at       time.Duration
		length   int
		id       uint64
		dir      pcapgo.NgEpbFlag
		comments string
	}{
		{"c1 nic", 0, 61, 7, pcapgo.NgEpbFlagDirectionOutbound, ""},
		{"wire h1", 241*time.Second + 3, 62, 7, pcapgo.NgEpbFlagDirectionInbound, "after nat"},
		{"drop h1", 5_000_000_123_456_789, 1499, 1 << 63, pcapgo.NgEpbFlagDirectionUnknown, "drop NatNoMapping at h1 wan;second"},
	}
	for i, w := range want {
		data, ci, opts, err := r.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		iface, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if iface.Name != w.iface || ci.Timestamp.Sub(time.Unix(0, 0)) != w.at || len(data) != w.length || ci.Length != w.length {
			t.Errorf("packet %d: %s %v %d", i, iface.Name, ci.Timestamp.Sub(time.Unix(0, 0)), len(data))
		}
		if opts.PacketID == nil || *opts.PacketID != w.id {
			t.Errorf("packet %d: id %v, want %d", i, opts.PacketID, w.id)
		}
		if opts.Flags != nil && opts.Flags.Direction != w.dir || opts.Flags == nil && w.dir != pcapgo.NgEpbFlagDirectionUnknown {
			t.Errorf("packet %d: flags %+v", i, opts.Flags)
		}
		if got := strings.Join(opts.Comments, ";"); got != w.comments {
			t.Errorf("packet %d: comments %q, want %q", i, got, w.comments)
		}
	}
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("after the last packet: %v", err)
	}
}

func TestBadPacketsAreRefused(t *testing.T) {
	w, err := NewPcapngWriter(io.Discard, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Interface("a", ""); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]CapturedPacket{
		"an interface that does not exist": {Interface: 1},
		"a negative interface":             {Interface: -1},
		"a negative time":                  {At: -1},
		"a frame without end":              {Frame: make([]byte, maxFrameBytes+1)},
	} {
		if err := w.Packet(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := w.Packet(CapturedPacket{}); err != nil {
		t.Errorf("an empty frame after refused ones: %v", err)
	}
}

func TestCommentsAreCutToWhatAnOptionHolds(t *testing.T) {
	var b bytes.Buffer
	w, err := NewPcapngWriter(&b, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Interface("a", ""); err != nil {
		t.Fatal(err)
	}
	if err := w.Packet(CapturedPacket{Frame: mkFrame(t, "x"), Comments: []string{strings.Repeat("\u00e4", 40_000)}}); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&b, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, opts, err := r.ReadPacketDataWithOptions(); err != nil || len(opts.Comments) != 1 || len(opts.Comments[0]) > maxOptionBytes {
		t.Errorf("%v, %d comments", err, len(opts.Comments))
	}
}

// needTool skips, or fails when HNSIM_REQUIRE_TOOLS=1 says that the tool must
// be there.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
		t.Fatalf("%s is not installed, and HNSIM_REQUIRE_TOOLS=1", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

func TestTsharkReadsACapture(t *testing.T) {
	tshark := needTool(t, "tshark")
	file := filepath.Join(t.TempDir(), "packets.pcapng")
	if err := os.WriteFile(file, mkCapture(t), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-r", file, "-T", "fields", "-E", "separator=/t",
		"-e", "frame.interface_name", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "udp.dstport", "-e", "frame.comment").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "c1 nic\t0.000000000\t61\t7\t\n" +
		"wire h1\t241.000000003\t62\t7\tafter nat\n" +
		"drop h1\t5000000.123456789\t1499\t7\tdrop NatNoMapping at h1 wan,second\n"
	if string(out) != want {
		t.Errorf("got:\n%swant:\n%s", out, want)
	}
	out, err = exec.Command(tshark, "-r", file, "-Y", `frame.comment contains "drop"`).Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), "\n"); n != 1 {
		t.Errorf("the filter that reports name finds %d packets, want 1:\n%s", n, out)
	}
}
