package sdn

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// FuzzPut sends arbitrary documents to arbitrary paths. Whatever happens, the
// controller does not panic; what it refuses changes nothing and is explained;
// what it accepts can be read and put again.
func FuzzPut(f *testing.F) {
	tenant, err := os.ReadFile("testdata/tenant.json")
	if err != nil {
		f.Fatal(err)
	}
	var docs map[string]json.RawMessage
	if err := json.Unmarshal(tenant, &docs); err != nil {
		f.Fatal(err)
	}
	for path, doc := range docs {
		f.Add(path, string(doc))
	}
	f.Add("/networkInterfaces/web/ipConfigurations/ip1", `{"properties":{"privateIPAddress":"192.168.1.12","subnet":{"resourceRef":"/virtualNetworks/vnet1/subnets/web"}}}`)
	f.Add("/logicalNetworks/public/subnets/vips/ipPools/p", `{"properties":{"startIpAddress":"107.105.47.1","endIpAddress":"107.105.47.9"}}`)
	f.Add("/virtualNetworks/vnet1", `{"properties":null}`)
	base, _ := lab(f)
	f.Fuzz(func(t *testing.T, path, doc string) {
		c := &Controller{Apply: base.Apply, store: base.store, model: base.model} // both are never changed
		before, store := c.Model(), c.store
		out, err := c.Put(path, []byte(doc))
		if err != nil {
			if c.Model() != before || c.store != store || !strings.Contains(err.Error(), " ") {
				t.Fatalf("refused with %q, and something changed", err)
			}
			return
		}
		again, err := c.Put(path, out)
		if err != nil {
			t.Fatalf("%s was taken and is refused when it comes back: %v", out, err)
		}
		if _, err := c.Get(path); err != nil || len(again) == 0 {
			t.Fatal(err)
		}
		if err := c.Delete(path); err == nil {
			if _, err := c.Get(path); err == nil {
				t.Fatal("deleted and still there")
			}
		}
	})
}

// FuzzLoad is the same for whole files.
func FuzzLoad(f *testing.F) {
	f.Add(`{"/networking/v1/servers/p1":{}}`)
	f.Add(`{"/servers/p1":{},"/virtualNetworks/v":{"properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/8"]}}}}`)
	f.Add(`{"/servers/p1"`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, file string) {
		c := New(nil)
		if err := c.Load([]byte(file)); err == nil && c.Model() == nil {
			t.Fatal("no model")
		}
	})
}
