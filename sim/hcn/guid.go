package hcn

import (
	"encoding/hex"
	"strings"
)

// ZeroGUID is the identity that means "none" in every call of hcsshim (A7).
const ZeroGUID = "00000000-0000-0000-0000-000000000000"

// IsGUID reports whether s is a GUID as text, with or without braces.
func IsGUID(s string) bool {
	_, ok := ParseGUID(s)
	return ok
}

// ParseGUID reads a GUID as text, with or without braces, in any case, and
// returns its canonical text: 36 lower-case characters without braces (A10).
func ParseGUID(s string) (string, bool) {
	if len(s) == 38 && s[0] == '{' && s[37] == '}' {
		s = s[1:37]
	}
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return "", false
	}
	var raw [16]byte
	packed := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	if _, err := hex.Decode(raw[:], []byte(packed)); err != nil {
		return "", false
	}
	return strings.ToLower(s), true
}

// SameID reports whether two ids are equal without regard to case and braces
// (rule B6).
func SameID(a, b string) bool {
	if len(a) == len(b) {
		return strings.EqualFold(a, b)
	}
	return strings.EqualFold(strings.Trim(a, "{}"), strings.Trim(b, "{}"))
}
