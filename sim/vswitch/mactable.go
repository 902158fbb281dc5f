package vswitch

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// MaxLearned bounds the dynamic forwarding entries of a switch; an address
// beyond that is not learned and stays unknown.
const MaxLearned = 4096

// LearnedAge is how long a dynamic entry lives without traffic from its
// address, ns. The value is a model default: Windows does not document one.
const LearnedAge = int64(300e9)

// macKey is an address within an isolation domain.
type macKey struct {
	zone uint32
	mac  wire.MAC
}

// learnedMAC is a dynamic entry: which port sent from the address last.
type learnedMAC struct {
	port vfp.PortID
	at   int64
}

// macTable holds the addresses that ports with MAC spoofing sent from
// (rule VS-13). Static entries are the snapshot's and go first (rule VS-10).
type macTable struct {
	learned map[macKey]learnedMAC
	// expireAt is the earliest time at which a full table can lose an entry.
	expireAt int64
}

// learn notes the source address of a frame that spoofing port q sent. A host
// that moves takes its entry along.
func (t *macTable) learn(now int64, q *port, src wire.MAC) {
	if src.IsMulticast() || src.IsZero() || src == q.cfg.MAC {
		return
	}
	if t.learned == nil {
		t.learned = make(map[macKey]learnedMAC)
	}
	k := macKey{q.cfg.Zone, src}
	if _, known := t.learned[k]; !known && len(t.learned) >= MaxLearned {
		if now < t.expireAt {
			return
		}
		t.expire(now)
		if len(t.learned) >= MaxLearned {
			return
		}
	}
	t.learned[k] = learnedMAC{q.cfg.ID, now}
}

// find is the port that sent from the address within LearnedAge.
func (t *macTable) find(now int64, zone uint32, mac wire.MAC) (vfp.PortID, bool) {
	e, ok := t.learned[macKey{zone, mac}]
	if !ok || now-e.at >= LearnedAge {
		return 0, false
	}
	return e.port, true
}

// expire removes what is too old to be found. Which entries go does not depend
// on the order of iteration.
func (t *macTable) expire(now int64) {
	next := now + LearnedAge
	for k, e := range t.learned {
		if now-e.at >= LearnedAge {
			delete(t.learned, k)
		} else {
			next = min(next, e.at+LearnedAge)
		}
	}
	t.expireAt = next
}

// retain removes the entries of ports for which keep is false.
func (t *macTable) retain(keep func(zone uint32, id vfp.PortID) bool) {
	for k, e := range t.learned {
		if !keep(k.zone, e.port) {
			delete(t.learned, k)
		}
	}
}
