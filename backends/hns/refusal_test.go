package hns

import (
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

func TestRefusals(t *testing.T) {
	want := &hcn.Error{Code: hcn.ErrPortAlreadyExists, Detail: "port 8080 is taken"}
	tests := []struct {
		name    string
		hresult uint32
		text    string
		want    *hcn.Error
	}{
		{"with a record", uint32(want.Code), string(want.ErrorRecord()), want},
		{"with words before the record", uint32(want.Code), "hcnCreateEndpoint failed in Win32: ... " + string(want.ErrorRecord()), want},
		{"in an envelope", 0, string(want.ErrorRecord()), want},
		{"without a record", uint32(want.Code), "", &hcn.Error{Code: want.Code}},
		{"with a text", uint32(want.Code), "no JSON", &hcn.Error{Code: want.Code, Detail: "no JSON"}},
		{"half a record", uint32(want.Code), `{"Success":`, &hcn.Error{Code: want.Code, Detail: `{"Success":`}},
		{"of Win32", 0x490, "", &hcn.Error{Code: 0x80070490}},
		{"another sentence", uint32(want.Code), `{"Success":false,"Error":"Port belegt. ","ErrorCode":1}`, &hcn.Error{Code: want.Code, Detail: "Port belegt."}},
	}
	for _, tt := range tests {
		if got := refusal(tt.hresult, tt.text); *got != *tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func FuzzRefusal(f *testing.F) {
	f.Add(uint32(0x803b0013), `{"Success":false,"Error":"x","ErrorCode":5}`)
	f.Add(uint32(2), "words {")
	f.Fuzz(func(t *testing.T, hresult uint32, text string) {
		if e := refusal(hresult, text); hresult != 0 && uint32(e.Code) != fullCode(hresult) {
			t.Errorf("code %v of %#x", e.Code, hresult)
		}
	})
}

func TestProfilesOfBuilds(t *testing.T) {
	for build, want := range map[int]string{14393: hcn.WS2016, 17763: hcn.WS2019, 19041: hcn.WS2019, 20348: hcn.WS2022, 20349: hcn.WS2022, 26100: hcn.WS2025, 99999: hcn.WS2025} {
		if p, err := profileOf(build); err != nil || p.Name != want {
			t.Errorf("build %d: %q, %v; want %q", build, p.Name, err, want)
		}
	}
	if p, err := profileOf(9600); err == nil {
		t.Errorf("build 9600 has profile %s", p.Name)
	}
}
