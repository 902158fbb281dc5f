package hns

import (
	"github.com/hnsim/hnsim/sim/hcn"
	shaping "github.com/hnsim/hnsim/sim/qos"
)

// shapers are the bandwidth limits of a host's endpoints. They outlive single
// programs: what they have promised to frames that wait still stands (QOS-03).
type shapers struct {
	limits  shaping.Limits // knobs qosBurst and qosQueue
	byEP    map[uint32]*shaping.Shaper
	pending map[uint32]*shaping.Shaper // of the state being compiled
}

func (s *shapers) begin() { s.pending = map[uint32]*shaping.Shaper{} }

func (s *shapers) commit() { s.byEP, s.pending = s.pending, nil }

// commitOnly is commit when only these endpoints were looked at.
func (s *shapers) commitOnly(nums []uint32) {
	for _, num := range nums {
		if sh := s.pending[num]; sh != nil {
			s.byEP[num] = sh
		} else {
			delete(s.byEP, num)
		}
	}
	s.pending = nil
}

// shaper is the limit of what an endpoint sends, nil if it has none: there is
// no policy, or it says 0 (rules QOS-01, QOS-03).
func (s *shapers) shaper(e *Endpoint) *shaping.Shaper {
	rate := uint64(0)
	for _, p := range hcn.FindPolicies(e.Doc.Policies, hcn.PolicyQOS) {
		if set, err := hcn.DecodeSettings[hcn.QOSSettings](p); err == nil && set.MaximumOutgoingBandwidthInBytes > 0 {
			rate = set.MaximumOutgoingBandwidthInBytes
		}
	}
	if rate == 0 {
		return nil
	}
	old := s.byEP[e.Num]
	switch {
	case old == nil:
		s.pending[e.Num] = shaping.New(rate, s.limits)
	case old.Rate() != rate:
		s.pending[e.Num] = old.WithRate(rate)
	default:
		s.pending[e.Num] = old
	}
	return s.pending[e.Num]
}
