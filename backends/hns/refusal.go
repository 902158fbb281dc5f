package hns

import (
	"encoding/json"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
)

// record is the error record that HCN functions hand out beside the HRESULT,
// and the envelope of HNSCall (contract D.2, rule A24).
type record struct {
	Success   bool            `json:"Success"`
	Error     string          `json:"Error"`
	ErrorCode uint32          `json:"ErrorCode"`
	Output    json.RawMessage `json:"Output"`
}

// refusal makes the error of a call: from the HRESULT, as Windows' packages for
// Go show it (errors of Win32 without their facility), and the text that came
// with it, in which an error record may stand behind other words. The record's
// sentence is the code's own and is not repeated.
func refusal(hresult uint32, text string) *hcn.Error {
	e := &hcn.Error{Code: hcn.Code(fullCode(hresult))}
	at := strings.IndexByte(text, '{')
	var r record
	if at < 0 || json.Unmarshal([]byte(text[at:]), &r) != nil {
		e.Detail = strings.TrimSpace(text)
		return e
	}
	if hresult == 0 {
		e.Code = hcn.Code(r.ErrorCode)
	}
	detail := strings.TrimSpace(r.Error)
	if rest, ok := strings.CutPrefix(detail, strings.TrimSpace(e.Code.Sentence())); ok {
		detail = strings.TrimSpace(rest)
	}
	e.Detail = detail
	return e
}

// fullCode gives a Win32 error its facility back.
func fullCode(code uint32) uint32 {
	const facilityWin32 = 0x80070000
	if code > 0 && code < 0x10000 {
		return facilityWin32 | code
	}
	return code
}
