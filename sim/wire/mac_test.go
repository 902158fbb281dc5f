package wire

import (
	"encoding/json"
	"testing"
)

func TestParseMACReadsTheUsualNotations(t *testing.T) {
	want := MAC{0x00, 0x15, 0x5d, 0x82, 0xab, 0x23}
	for _, s := range []string{
		"00-15-5D-82-AB-23", "00-15-5d-82-ab-23", "00:15:5D:82:AB:23", "00:15:5d:82:aB:23", "00155d82ab23", "00155D82AB23", "0015.5d82.ab23",
	} {
		if got, err := ParseMAC(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}

func TestParseMACRefusesAnythingElse(t *testing.T) {
	for _, s := range []string{
		"", "00", "00-15-5D-82-AB", "00-15-5D-82-AB-23-45", "00-15-5D-82-AB-2", "0-15-5D-82-AB-23", "00-15:5D-82-AB-23",
		"00-15-5D-82-AB-2G", "00155d82ab2", "00155d82ab234", "0015-5d82-ab23", "00.15.5d.82.ab.23", "0015.5d82:ab23",
		"00_15_5D_82_AB_23", "-0155D82AB23", "00155d82ab2-", "00--5D-82-AB-23", "0015 5d82 ab23", "00-15-5D-82-AB-2é",
	} {
		if got, err := ParseMAC(s); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

func TestMACTextRoundTrip(t *testing.T) {
	type doc struct{ Mac MAC }
	in := doc{MustMAC("00-15-5D-82-00-23")}
	b, err := json.Marshal(in)
	if err != nil || string(b) != `{"Mac":"00-15-5D-82-00-23"}` {
		t.Fatalf("%s, %v", b, err)
	}
	var out doc
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("%v, %v", out, err)
	}
	if b, err = json.Marshal(doc{}); err != nil || string(b) != `{"Mac":""}` {
		t.Errorf("zero: %s, %v", b, err)
	}
	if err := json.Unmarshal(b, &out); err != nil || !out.Mac.IsZero() {
		t.Errorf("zero: %v, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"Mac":"x"}`), &out); err == nil {
		t.Error("read x")
	}
}

func TestMACKinds(t *testing.T) {
	tests := []struct {
		mac                               MAC
		zero, broadcast, multicast, local bool
	}{
		{MAC{}, true, false, false, false},
		{Broadcast, false, true, true, true},
		{MustMAC("33-33-00-00-00-01"), false, false, true, true},
		{MustMAC("01-00-5E-00-00-01"), false, false, true, false},
		{MustMAC("00-15-5D-82-00-23"), false, false, false, false},
		{MustMAC("0E-2A-0A-F4-01-0A"), false, false, false, true},
	}
	for _, tt := range tests {
		if m := tt.mac; m.IsZero() != tt.zero || m.IsBroadcast() != tt.broadcast || m.IsMulticast() != tt.multicast || m.IsLocal() != tt.local {
			t.Errorf("%v: zero %v, broadcast %v, multicast %v, local %v", m, m.IsZero(), m.IsBroadcast(), m.IsMulticast(), m.IsLocal())
		}
	}
}

func TestMustMACPanicsOnNonsense(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	MustMAC("nonsense")
}
