package vfp

// Watch counts, for hashes of tuples, how many layer flows have been made. A
// cached walk that found no flow in a stateful layer remembers the count: once
// it changes, the walk might end differently. Hashes share counters; that makes
// a walk too many, never one too few.
//
// There are four counters for each flow or more. They lie in pages, and doubling
// them makes every page serve two hashes where it served one; then, with every
// few flows, one page gets a copy of its own for the upper half. A copy starts
// from the count that both shared, so what cached walks remember stays true.
type watch struct {
	pages []*watchPage
	next  int // pages[next:] are shared with those of the lower half
	made  int // flows since the last copy
}

type watchPage [1 << watchBits]uint32

const (
	watchBits  = 10
	watchEvery = 64 // flows made between two copies of pages
)

func (w *watch) init() { w.pages, w.next = []*watchPage{new(watchPage)}, 1 }

// of is the counter of a hash.
func (w *watch) of(hash uint32) *uint32 {
	return &w.pages[hash>>watchBits&uint32(len(w.pages)-1)][hash&(1<<watchBits-1)]
}

// size is the number of counters that there are or are going to be.
func (w *watch) size() int { return len(w.pages) << watchBits }

// grow makes room for one more flow; with it there are so many.
func (w *watch) grow(live int) {
	switch w.made++; {
	case w.next == len(w.pages) && w.size() < 4*live:
		w.pages = append(w.pages, w.pages...)
	case w.next < len(w.pages) && w.made >= watchEvery:
		w.split()
		w.made = 0
	}
}

// split gives one page a copy of its own.
func (w *watch) split() {
	own := *w.pages[w.next]
	w.pages[w.next] = &own
	w.next++
}
