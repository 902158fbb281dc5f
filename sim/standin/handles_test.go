package standin

import (
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// withoutHandle are the functions that take none; all others refuse a handle
// that is closed or was never opened (D.3-48).
var withoutHandle = []string{"HNSCall", "HcnEnumerate", "HcnCreateNetwork", "HcnCreateNamespace", "HcnCreateLoadBalancer", "HcnCreateSdnRoute",
	"HcnCreateGuestNetworkService", "HcnOpen", "HcnDelete", "HcnRegisterServiceCallback", "HcsEnumerateComputeSystems", "HcsOpenComputeSystem"}

func takesHandle(name string) bool {
	return !slices.ContainsFunc(withoutHandle, func(p string) bool { return strings.HasPrefix(name, p) })
}

// mkTexts makes as many texts as a function takes.
func mkTexts(n int) []Text {
	out := []Text{}
	for range n {
		out = append(out, Str(`{}`))
	}
	return out
}

// TestEveryFunctionRefusesWrongHandlesAndWrongArguments calls each exported
// function as no client should.
func TestEveryFunctionRefusesWrongHandlesAndWrongArguments(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	c := l.client(1)
	closed := c.must(Request{Function: "HcnOpenService"}).Handle
	c.must(Request{Function: "HcnCloseService", Handle: closed})
	other := c.must(Request{Function: "HcnOpenService"}).Handle // open, of another kind
	handles := 0
	for name, f := range functions {
		t.Run("D.3-48 "+name, func(t *testing.T) {
			c.t = t
			if takesHandle(name) {
				handles++
				for _, h := range []uint64{0, closed, 0xDEAD0} {
					c.mustFail(hcn.ErrInvalidHandle, Request{Function: name, Handle: h, Texts: mkTexts(f.texts)})
				}
				if name != "HcnCloseService" {
					c.mustFail(hcn.ErrInvalidHandle, Request{Function: name, Handle: other, Texts: mkTexts(f.texts)})
				}
			}
			for _, n := range []int{f.texts + 1, f.texts - 1} {
				if n >= 0 {
					c.mustFail(hcn.ErrInvalidParameter, Request{Function: name, Handle: other, Texts: mkTexts(n)})
				}
			}
		})
	}
	if handles < 30 {
		t.Errorf("only %d functions take a handle", handles)
	}
	c.t = t
	c.must(Request{Function: "HcnCloseService", Handle: other}) // survived all that
}

func TestEverySessionHasItsOwnHandles(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	a, b := l.client(1), l.client(2)
	net := a.must(Request{Function: "HcnCreateNetwork", GUID: guid(id1), Texts: texts(natDoc)}).Handle
	t.Run("D.3-48 a handle means nothing in another process", func(t *testing.T) {
		b.mustFail(hcn.ErrInvalidHandle, Request{Function: "HcnQueryNetworkProperties", Handle: net, Texts: texts("")})
	})
	t.Run("A8 leaked handles keep nothing alive", func(t *testing.T) {
		for range 50 {
			a.must(Request{Function: "HcnOpenNetwork", GUID: guid(id1)})
		}
		b.must(Request{Function: "HcnDeleteNetwork", GUID: guid(id1)})
		a.mustFail(hcn.ErrObjectUsedAfterUnload, Request{Function: "HcnQueryNetworkProperties", Handle: net, Texts: texts("")})
	})
}

// TestCallbacksOfGuestServicesEnd covers the unregistration of A.3, and the
// list of compute systems that a v1 attach may ask for.
func TestCallbacksOfGuestServicesEnd(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	c := l.client(1)
	g := c.must(Request{Function: "HcnCreateGuestNetworkService", GUID: guid(id1), Texts: texts(`{}`)}).Handle
	sub := c.must(Request{Function: "HcnRegisterGuestNetworkServiceCallback", Handle: g}).Handle
	c.must(Request{Function: "HcnUnregisterGuestNetworkServiceCallback", Handle: sub})
	c.mustFail(hcn.ErrInvalidHandle, Request{Function: "HcnUnregisterGuestNetworkServiceCallback", Handle: sub})
	c.mustFail(hcn.ErrInvalidHandle, Request{Function: waitFunction, Handle: sub, Number: 1})

	l.AddContainer("c1")
	if got := c.must(Request{Function: "HcsEnumerateComputeSystems", Texts: texts("")}).Texts[0].Value; !strings.Contains(got, `"c1"`) {
		t.Errorf("compute systems: %s", got)
	}
}
