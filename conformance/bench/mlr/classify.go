package mlr

import (
	"cmp"
	"slices"
	"time"
)

// Goal is what is searched for.
type Goal struct {
	Name        string
	LossRatio   float64       // of frames, 0 for none
	ExceedRatio float64       // share of trial time that may have more loss; 0.5 is usual
	Initial     time.Duration // shortest trials
	Final       time.Duration // trials at least so long count in full
	Sum         time.Duration // trial time that decides about a load
	Width       float64       // how near the bounds shall be: (upper-lower)/upper
}

// Trial is one measurement.
type Trial struct {
	Load     float64 // offered, frames a second
	Duration time.Duration
	Loss     float64 // share, 0 to 1
}

// Class is what is known about a load.
type Class uint8

const (
	Undecided Class = iota
	LowerBound
	UpperBound
)

func (c Class) String() string { return [...]string{"undecided", "lower bound", "upper bound"}[c] }

// Classify says what the trials at one load mean for a goal (RFC 9971, load
// classification): the time of trials with too much loss is compared with the
// share of all time that may have it, once as if all time that is missing were
// good and once as if it were bad. Short trials with too much loss count as far
// as those without do not make up for them.
func Classify(g *Goal, trials []Trial) Class {
	var good, bad, shortGood, shortBad time.Duration
	for _, t := range trials {
		full, lossy := t.Duration >= g.Final, t.Loss > g.LossRatio
		switch {
		case full && lossy:
			bad += t.Duration
		case full:
			good += t.Duration
		case lossy:
			shortBad += t.Duration
		default:
			shortGood += t.Duration
		}
	}
	if g.ExceedRatio < 1 {
		balance := time.Duration(float64(shortGood) * g.ExceedRatio / (1 - g.ExceedRatio))
		bad += max(0, shortBad-balance)
	}
	whole := max(good+bad, g.Sum)
	missing := whole - good - bad
	allowed := time.Duration(float64(whole) * g.ExceedRatio)
	switch {
	case bad+missing <= allowed:
		return LowerBound
	case bad > allowed:
		return UpperBound
	}
	return Undecided
}

// Throughput is the conditional throughput of a goal at a load: what came
// through in that trial which the goal's share of trial time puts at the limit.
func Throughput(g *Goal, load float64, trials []Trial) float64 {
	var full []Trial
	var sum time.Duration
	for _, t := range trials {
		if t.Duration >= g.Final {
			full = append(full, t)
			sum += t.Duration
		}
	}
	slices.SortFunc(full, func(a, b Trial) int { return cmp.Compare(a.Loss, b.Loss) })
	left := time.Duration(float64(max(g.Sum, sum)) * (1 - g.ExceedRatio))
	loss := 1.0
	for _, t := range full {
		loss = t.Loss
		if left -= t.Duration; left <= 0 {
			return load * (1 - loss)
		}
	}
	return 0 // too little time at this load to say
}
