package standin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

// guestKey names a guest network service.
type guestKey struct{ host, id string }

// guestService is a guest network service: no Go client uses them, so that
// they are documents and port reservations without effect on packets.
type guestService struct {
	doc map[string]any
}

// guestStates are the values of GuestNetworkServiceState in their order.
var guestStates = []string{"None", "Created", "Bootstrapping", "Synchronized", "Paused", "Desynchronized", "Rehydrating", "Degraded", "Destroyed"}

// reservation is a held range of ports, both ends included.
type reservation struct {
	guestKey
	protocol    uint8 // 1 TCP, 2 UDP, 3 both
	access      uint8 // 1 exclusive, 2 shared
	first, last uint16
}

// dynamicFirst is where ranges are looked for: the first dynamic port.
const dynamicFirst = 49152

func addGuestFunctions(m map[string]function) {
	closeGuest := func(c *call) error { return c.closeHandle(guestServiceHandle) }
	m["HcnEnumerateGuestNetworkServices"] = function{1, (*call).enumerateGuests}
	m["HcnCreateGuestNetworkService"] = function{1, (*call).createGuest}
	m["HcnOpenGuestNetworkService"] = function{0, (*call).openGuest}
	m["HcnModifyGuestNetworkService"] = function{1, (*call).modifyGuest}
	m["HcnQueryGuestNetworkServiceProperties"] = function{1, (*call).queryGuest}
	m["HcnDeleteGuestNetworkService"] = function{0, (*call).deleteGuest}
	m["HcnCloseGuestNetworkService"] = function{0, closeGuest}
	m["HcnRegisterGuestNetworkServiceCallback"] = function{0, func(c *call) error {
		id, _, err := c.guest()
		if err != nil {
			return err
		}
		return c.registerCallback(id)
	}}
	m["HcnUnregisterGuestNetworkServiceCallback"] = function{0, (*call).unregisterCallback}
	m["HcnReserveGuestNetworkServicePort"] = function{0, (*call).reservePort}
	m["HcnReserveGuestNetworkServicePortRange"] = function{0, (*call).reserveRange}
	m["HcnReleaseGuestNetworkServicePortReservationHandle"] = function{0, func(c *call) error { return c.closeHandle(reservationHandle) }}
	m["HcnEnumerateGuestNetworkPortReservations"] = function{0, (*call).enumerateReservations}
}

func (c *call) enumerateGuests() error {
	if _, err := hcn.ParseQuery([]byte(c.text(0))); err != nil {
		return err
	}
	ids := []string{}
	for key := range c.srv.guests {
		if key.host == c.host.Name {
			ids = append(ids, key.id)
		}
	}
	slices.Sort(ids)
	raw, err := json.Marshal(ids)
	c.result(raw)
	return err
}

func (c *call) guestKey(id string) guestKey { return guestKey{c.host.Name, id} }

func (c *call) createGuest() error {
	var doc map[string]any
	if err := json.Unmarshal([]byte(c.text(0)), &doc); err != nil || doc == nil {
		return hcn.Errorf(hcn.ErrInvalidJSON, "the settings of a guest network service are not an object")
	}
	id := guidText(c.req.GUID)
	if id == "" {
		inside, _ := doc["ID"].(string)
		id, _ = hcn.ParseGUID(inside)
	}
	if id == "" || id == hcn.ZeroGUID {
		return hcn.Errorf(hcn.ErrInvalidParameter, "a guest network service without an ID")
	}
	if c.srv.guests[c.guestKey(id)] != nil {
		return hcn.Errorf(hcn.ErrAlreadyExists, "guest network service %s", id)
	}
	doc["ID"], doc["State"] = id, slices.Index(guestStates, "Created")
	if err := c.answerHandle(&handle{kind: guestServiceHandle, id: id, host: c.host.Name}); err != nil {
		return err
	}
	c.srv.guests[c.guestKey(id)] = &guestService{doc}
	c.notifyGuest(hns.GuestServiceCreate, id, nil)
	return nil
}

// notifyGuest tells the callbacks of the host and those of the service.
func (c *call) notifyGuest(t hns.NotificationType, id string, data map[string]any) {
	base := map[string]any{"ID": id, "Flags": 0}
	if data != nil {
		base["Data"] = data
	}
	raw, _ := json.Marshal(base) // texts and numbers only
	c.srv.Notify(c.host.Name, hns.Notification{Type: t, ID: id, Data: raw})
}

func noGuest(id string) error {
	return hcn.Errorf(hcn.ErrElementNotFound, "guest network service %s", id)
}

func (c *call) openGuest() error {
	if c.srv.guests[c.guestKey(c.guid())] == nil {
		return noGuest(c.guid())
	}
	return c.answerHandle(&handle{kind: guestServiceHandle, id: c.guid(), host: c.host.Name})
}

func (c *call) guest() (string, *guestService, error) {
	h, err := c.ses.get(c.req.Handle, guestServiceHandle)
	if err != nil {
		return "", nil, err
	}
	g := c.srv.guests[c.guestKey(h.id)]
	if g == nil || h.dead {
		return "", nil, hcn.Errorf(hcn.ErrObjectUsedAfterUnload, "guest network service %s was deleted", h.id)
	}
	return h.id, g, nil
}

// modifyGuest carries out a ModifyGuestNetworkServiceSettingRequest, whose only
// resource is the state.
func (c *call) modifyGuest() error {
	id, g, err := c.guest()
	if err != nil {
		return err
	}
	m, err := hcn.ParseModifyRequest([]byte(c.text(0)))
	if err != nil {
		return err
	}
	if _, err := m.Resource("guest network service"); err != nil {
		return err
	}
	if m.RequestType != hcn.RequestUpdate {
		return hcn.ErrorAt(hcn.ErrRequestUnsupported, "RequestType", string(m.RequestType), "Update")
	}
	said, _ := hcn.DocumentMember(m.Settings, "State")
	state := slices.Index(guestStates, said)
	if n, err := strconv.Atoi(said); err == nil && n >= 0 && n < len(guestStates) {
		state = n
	}
	if state < 0 {
		return hcn.ErrorAt(hcn.ErrInvalidParameter, "Settings.State", strconv.Quote(said), "one of "+strings.Join(guestStates, ", "))
	}
	g.doc["State"] = state
	c.notifyGuest(hns.GuestServiceChanged, id, map[string]any{"State": guestStates[state]})
	return nil
}

func (c *call) queryGuest() error {
	_, g, err := c.guest()
	if err != nil {
		return err
	}
	if _, err := hcn.ParseQuery([]byte(c.text(0))); err != nil {
		return err
	}
	raw, err := json.Marshal(g.doc)
	c.result(raw)
	return err
}

func (c *call) deleteGuest() error {
	id := c.guid()
	if c.srv.guests[c.guestKey(id)] == nil {
		return noGuest(id)
	}
	delete(c.srv.guests, c.guestKey(id))
	for _, ses := range c.srv.sessions {
		for _, h := range ses.table {
			if h.kind == guestServiceHandle && h.host == c.host.Name && h.id == id {
				h.dead = true
			}
		}
	}
	c.notifyGuest(hns.GuestServiceDelete, id, nil)
	return nil
}

// reservations lists what all sessions hold, in the order of ports.
func (s *Server) reservations() []reservation {
	var out []reservation
	for _, ses := range s.sessions {
		for _, h := range ses.table {
			if h.kind == reservationHandle {
				out = append(out, h.res)
			}
		}
	}
	slices.SortFunc(out, func(a, b reservation) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.protocol, b.protocol), strings.Compare(a.host+a.id, b.host+b.id))
	})
	return out
}

func clash(a, b reservation) bool {
	overlap := a.first <= b.last && b.first <= a.last && a.protocol&b.protocol != 0
	return a.host == b.host && overlap && (a.access == 1 || b.access == 1)
}

// reservePort takes one port; Number is protocol | access<<8 | port<<16.
func (c *call) reservePort() error {
	id, _, err := c.guest()
	if err != nil {
		return err
	}
	port := uint16(c.req.Number >> 16)
	want := reservation{guestKey: c.guestKey(id), protocol: uint8(c.req.Number), access: uint8(c.req.Number >> 8), first: port, last: port}
	if want.protocol < 1 || want.protocol > 3 || want.access < 1 || want.access > 2 || port == 0 {
		return hcn.Errorf(hcn.ErrInvalidParameter, "protocol %d, access %d, port %d", want.protocol, want.access, port)
	}
	for _, r := range c.srv.reservations() {
		if clash(r, want) {
			return hcn.Errorf(hcn.ErrPortAlreadyExists, "port %d", port)
		}
	}
	return c.answerHandle(&handle{kind: reservationHandle, id: id, res: want})
}

// reserveRange takes Number ports in a row; the answer's Number is the first
// port and the last<<16.
func (c *call) reserveRange() error {
	id, _, err := c.guest()
	if err != nil {
		return err
	}
	n := c.req.Number
	if n == 0 || n > 65536-dynamicFirst {
		return hcn.Errorf(hcn.ErrInvalidParameter, "a range of %d ports", n)
	}
	held := c.srv.reservations()
	first := dynamicFirst
	for i := 0; i < len(held); i++ { // ascending: step over each that is in the way
		want := reservation{guestKey: c.guestKey(id), protocol: 3, access: 1, first: uint16(first), last: uint16(min(65535, first+int(n)-1))}
		if clash(held[i], want) {
			first = int(held[i].last) + 1
			i = -1 // an earlier, longer one may reach into the new place
		}
		if first+int(n)-1 > 65535 {
			return hcn.Errorf(hcn.ErrPortAlreadyExists, "no %d free ports in a row", n)
		}
	}
	want := reservation{guestKey: c.guestKey(id), protocol: 3, access: 1, first: uint16(first), last: uint16(first + int(n) - 1)}
	if err := c.answerHandle(&handle{kind: reservationHandle, id: id, res: want}); err != nil {
		return err
	}
	c.resp.Number = uint64(want.first) | uint64(want.last)<<16
	return nil
}

// enumerateReservations answers with lines "service protocol first last",
// which are easy to take apart in C.
func (c *call) enumerateReservations() error {
	var b strings.Builder
	for _, r := range c.srv.reservations() {
		if r.host != c.host.Name {
			continue
		}
		fmt.Fprintf(&b, "%s %d %d %d\n", r.id, r.protocol, r.first, r.last)
		c.resp.Number++
	}
	c.result([]byte(b.String()))
	return nil
}
