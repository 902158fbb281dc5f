package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// idList reads a JSON list of texts.
func idList(text []byte) (ids []string, ok bool) {
	err := json.Unmarshal(text, &ids)
	return ids, err == nil
}

func encodeList(ids []string) []byte {
	b, err := json.Marshal(ids)
	if err != nil {
		return nil // texts can always be written
	}
	return b
}

// printable is data as text if it is that, else hexadecimal.
func printable(b []byte) string {
	const limit = 200
	if len(b) > limit {
		return fmt.Sprintf("%s and %d bytes more", printable(b[:limit]), len(b)-limit)
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("hex %x", b)
		}
	}
	return string(b)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
