package winnat

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// The contract's golden vectors V1 and V3 (section 0.5).
const (
	v1In  = "00155d10000100155d10000a0800450000281234400080060031ac10000acb007150c22401bb000003e8000000005002faf004bf0000"
	v1Out = "00005e00010100155d820023080045000028123440007f0620a90a7f8223cb007150c35101bb000003e8000000005002faf0230a0000"
	v3In  = "00155d82002300005e00010108004500003800770000fa010977c63364010a7f822303042e8f00000578450005c812354000780622080a7f8223cb007150c35101bb000003e8"
	v3Out = "00155d10000a00155d10000108004500003800770000f901eafec6336401ac10000a03042fbc0000057845000" +
		"5c81235400078060290ac10000acb007150c22401bb000003e8"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hop does what the host does around the translator: TTL and MACs.
func hop(t *testing.T, p *vfp.Packet, src, dst wire.MAC) []byte {
	t.Helper()
	frame := p.Bytes()
	if !wire.DecTTL(frame, &p.Meta, 1) {
		t.Fatal("TTL")
	}
	wire.Ethernet(frame).SetSrc(src)
	wire.Ethernet(frame).SetDst(dst)
	return frame
}

func TestGoldenVectors(t *testing.T) {
	l := newLab(t, nil) // its first external port is 50001

	p := mkPacket(unhex(t, v1In))
	if res := l.n.Outbound(0, p, place("h1")); res.Verdict != Translated {
		t.Fatal(res)
	}
	if got := hop(t, p, h1MAC, rMAC); !bytes.Equal(got, unhex(t, v1Out)) {
		t.Errorf("V1\n got %x\nwant %s", got, v1Out)
	}

	p = mkPacket(unhex(t, v3In))
	if res := l.n.Inbound(0, p, place("h1")); res.Verdict != Translated {
		t.Fatal(res)
	}
	if got := hop(t, p, gwMAC, cn1MAC); !bytes.Equal(got, unhex(t, v3Out)) {
		t.Errorf("V3\n got %x\nwant %s", got, v3Out)
	}
}
