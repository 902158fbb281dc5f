package terminal

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
)

// tickEvery is how often progress is reported where no line can be rewritten:
// often enough that a CI system does not think the job hangs.
const tickEvery = 10 * time.Second

// Progress shows how far a run has come: a bar that is rewritten on a
// terminal, a plain line every ten seconds elsewhere. A nil *Progress does
// nothing. It is used from one goroutine.
type Progress struct {
	out    Stream
	bar    *progressbar.ProgressBar
	total  int
	done   int
	failed int
	next   time.Time
	now    func() time.Time
}

// NewProgress begins. It returns nil, which is quiet, when there is nothing to
// count.
func NewProgress(out Stream, total int, dumb bool, now func() time.Time) *Progress {
	if total <= 0 {
		return nil
	}
	p := &Progress{out: out, total: total, now: now, next: now().Add(tickEvery)}
	if out.TTY && !dumb {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetWidth(min(40, out.Width/3)),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionThrottle(50*time.Millisecond),
			progressbar.OptionSetTheme(progressbar.ThemeASCII),
			progressbar.OptionSetDescription("0 failed"),
			progressbar.OptionClearOnFinish(),
		)
	}
	return p
}

// Step counts one finished scenario.
func (p *Progress) Step(failed bool) {
	if p == nil {
		return
	}
	p.done++
	if failed {
		p.failed++
	}
	if p.bar != nil {
		if failed {
			p.bar.Describe(fmt.Sprintf("%d failed", p.failed))
		}
		// The bar is decoration: a terminal that went away must not end the run.
		_ = p.bar.Add(1)
		return
	}
	if now := p.now(); now.After(p.next) {
		fmt.Fprintf(p.out, "[%d/%d] %d failed\n", p.done, p.total, p.failed)
		p.next = now.Add(tickEvery)
	}
}

// Clear removes the bar, so that something else can be printed; the next step
// draws it again.
func (p *Progress) Clear() {
	if p != nil && p.bar != nil {
		_ = p.bar.Clear()
	}
}

// Finish ends the display.
func (p *Progress) Finish() {
	if p != nil && p.bar != nil {
		_ = p.bar.Finish()
		_ = p.bar.Clear()
	}
}
