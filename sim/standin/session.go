package standin

import (
	"sync"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

// handleKind tells what a handle is for. Handles of objects have the kind of
// their object.
type handleKind string

const (
	serviceHandle       handleKind = "service"
	subscriptionHandle  handleKind = "subscription"
	computeSystemHandle handleKind = "compute system"
	guestServiceHandle  handleKind = "guest network service"
	reservationHandle   handleKind = "reservation"

	computeCallbackHandle handleKind = "compute system callback"
)

// handle is an entry of a session's table.
type handle struct {
	kind handleKind
	id   string // of the object, lower case
	num  uint32 // of an object of HNS: tells it from a later one with the same id
	host string // of a guest network service
	dead bool   // its guest network service was deleted
	sub  *subscription
	res  reservation
}

// maxHandles bounds what one session can leak.
const maxHandles = 1 << 20

// session is one client process.
type session struct {
	id    uint64
	conns int
	table map[uint64]*handle
	last  uint64
}

// subscription is a registered callback: notifications wait here until the
// client's thread fetches them.
type subscription struct {
	host   string
	guest  string // id of a guest network service: nothing else is of interest
	queue  chan hns.Notification
	closed chan struct{}
	once   sync.Once
}

func newSubscription(host string) *subscription {
	return &subscription{host: host, queue: make(chan hns.Notification, maxWaiting), closed: make(chan struct{})}
}

// maxWaiting bounds the notifications that nobody fetches; later ones are lost,
// as they are for a client whose callback does not return.
const maxWaiting = 4096

func (s *subscription) close() { s.once.Do(func() { close(s.closed) }) }

// open makes a handle. Values look like pointers: multiples of 16, never 0.
func (s *session) open(h *handle) (uint64, error) {
	if len(s.table) >= maxHandles {
		return 0, hcn.Errorf(hcn.ErrFail, "%d handles are open", len(s.table))
	}
	s.last += 0x10
	s.table[s.last] = h
	return s.last, nil
}

func invalidHandle(v uint64) error {
	return hcn.Errorf(hcn.ErrInvalidHandle, "handle 0x%x", v)
}

// get finds an open handle of a kind.
func (s *session) get(v uint64, kind handleKind) (*handle, error) {
	h := s.table[v]
	if h == nil || h.kind != kind {
		return nil, invalidHandle(v)
	}
	return h, nil
}

// close forgets a handle.
func (s *session) close(v uint64, kind handleKind) (*handle, error) {
	h, err := s.get(v, kind)
	if err != nil {
		return nil, err
	}
	delete(s.table, v)
	if h.sub != nil {
		h.sub.close()
	}
	return h, nil
}
