package simulated

import (
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
)

func TestOuterSettingsAreRead(t *testing.T) {
	tests := []struct {
		name    string
		outer   map[string]string
		wrong   string // in the error
		cas     int
		spoofed bool
	}{
		{"none", nil, "", 0, false},
		{"a tenant's", map[string]string{"cas": "10.0.0.1,10.0.0.2"}, "", 2, false},
		{"with spoofing", map[string]string{"spoofing": "on"}, "", 0, true},
		{"no address", map[string]string{"cas": "10.0.0.1,here"}, `"here"`, 0, false},
		{"no switch position", map[string]string{"spoofing": "yes"}, `"yes"`, 0, false},
		{"unknown", map[string]string{"speed": "1"}, "outer.speed", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := outerConfig(backends.Node{Name: "h1", Outer: tt.outer})
			switch {
			case tt.wrong != "":
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("error %v, want one about %s", err, tt.wrong)
				}
			case err != nil:
				t.Error(err)
			case tt.outer == nil:
				if c != nil {
					t.Errorf("an outer switch %+v that nobody asked for", c)
				}
			case len(c.CAs) != tt.cas || c.MACSpoofing != tt.spoofed:
				t.Errorf("got %+v", c)
			}
		})
	}
}
