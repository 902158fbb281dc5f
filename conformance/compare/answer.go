package compare

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/hcn"
)

// name says what a call was, for messages.
func (c *Call) name() string {
	switch {
	case c.Node != nil:
		return string(c.Node.Kind) + " " + c.Node.Name
	case c.HCN != nil && c.HCN.Kind == "hnscall":
		return "hnscall " + c.HCN.Verb + " " + c.HCN.Path + " on " + c.HCN.Host
	case c.HCN != nil:
		return c.HCN.Verb + " " + c.HCN.Kind + " on " + c.HCN.Host
	case c.Do != nil:
		return string(c.Do.Kind) + " of " + c.Do.Role
	}
	return c.Other
}

// answers compares what two calls came to.
func (d *draft) answers(l, r *Call) (rows []reports.FieldPair, equal bool) {
	if state, done := d.errs(&rows, l.Err, r.Err); done {
		return rows, state
	}
	switch {
	case l.HCN != nil:
		return d.results(rows, l, r)
	case l.Do != nil:
		return d.outcomes(rows, l, r)
	}
	return rows, true
}

// errs compares errors. It is done unless both calls succeeded.
func (d *draft) errs(rows *[]reports.FieldPair, l, r error) (equal, done bool) {
	if l == nil && r == nil {
		return true, false
	}
	var lh, rh *hcn.Error
	errors.As(l, &lh)
	errors.As(r, &rh)
	row := reports.FieldPair{Field: "error", Left: codeText(l, lh), Right: codeText(r, rh), State: reports.FieldSame}
	same := lh != nil && rh != nil && lh.Code == rh.Code || refusal(l) != "" && refusal(l) == refusal(r)
	if !same {
		row.State = reports.FieldDiffers
	}
	*rows = append(*rows, row)
	if row.State == reports.FieldDiffers {
		return false, true
	}
	text := reports.FieldPair{Field: "error.text", Left: l.Error(), Right: r.Error()}
	text.State, text.Note = d.text(text.Left, text.Right)
	if text.State == reports.FieldDiffers && d.on(normErrorText) {
		text.State, text.Note = reports.FieldNormalised, normErrorText
		d.use(normErrorText)
	}
	*rows = append(*rows, text)
	return text.State != reports.FieldDiffers, true
}

func codeText(err error, h *hcn.Error) string {
	switch {
	case err == nil:
		return "none"
	case refusal(err) != "":
		return refusal(err)
	case h == nil:
		return err.Error()
	}
	return fmt.Sprintf("0x%08X %s", uint32(h.Code), h.Code)
}

// results compares what the control plane returned. A list of ids has no order.
func (d *draft) results(rows []reports.FieldPair, l, r *Call) ([]reports.FieldPair, bool) {
	// A v1 request has its id in the document; backends need not repeat it.
	if l.HCN.Kind != "hnscall" && (l.Result.ID != "" || r.Result.ID != "") {
		row := reports.FieldPair{Field: "id", Left: l.Result.ID, Right: r.Result.ID}
		row.State, row.Note = d.text(row.Left, row.Right)
		rows = append(rows, row)
		if row.State == reports.FieldDiffers {
			return rows, false
		}
	}
	left, right := l.Result.Document, r.Result.Document
	if l.HCN.Verb == "enumerate" {
		left, right = d.inOrder(left), sortedList(right)
	}
	if len(left) == 0 && len(right) == 0 {
		return rows, true
	}
	more, equal := d.documents(left, right, l.HCN.Body)
	return append(rows, more...), equal
}

// inOrder writes a list of left ids in the order that their partners have.
func (d *draft) inOrder(list []byte) []byte {
	ids, ok := idList(list)
	if !ok {
		return list
	}
	partnerOf := func(id string) string {
		if p, ok := d.to["id "+strings.ToLower(id)]; ok {
			return p.value
		}
		return "id " + strings.ToLower(id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(partnerOf(a), partnerOf(b)) })
	return encodeList(ids)
}

func sortedList(list []byte) []byte {
	ids, ok := idList(list)
	if !ok {
		return list
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return encodeList(ids)
}

// outcomes compares what became of two stimuli.
func (d *draft) outcomes(rows []reports.FieldPair, l, r *Call) ([]reports.FieldPair, bool) {
	a, b := &l.Outcome, &r.Outcome
	f := &framePair{draft: d, rows: rows}
	row := func(name, left, right string, same bool) {
		state := reports.FieldSame
		if !same {
			state = reports.FieldDiffers
		}
		f.row(name, left, right, state, "")
	}
	exact := func(name, left, right string) { row(name, left, right, left == right) }
	exact("ok", strconv.FormatBool(a.OK), strconv.FormatBool(b.OK))
	if !a.OK || !b.OK {
		f.detail(a.Detail, b.Detail)
	}
	row("received", printable(a.Received), printable(b.Received), string(a.Received) == string(b.Received))
	f.local(l.Do, a, b)
	if a.Addr.IsValid() || b.Addr.IsValid() {
		state, note := d.addr(a.Addr.String(), b.Addr.String())
		f.row("addr", a.Addr.String(), b.Addr.String(), state, note)
	}
	if !a.MAC.IsZero() || !b.MAC.IsZero() {
		state, note := f.mac(a.MAC.String(), b.MAC.String())
		f.row("mac", a.MAC.String(), b.MAC.String(), state, note)
	}
	for i := range f.rows {
		if f.rows[i].State == reports.FieldDiffers {
			return f.rows, false
		}
	}
	return f.rows, true
}

// socketError is the number of an error of Windows sockets.
var socketError = regexp.MustCompile(`\b10\d{3}\b`)

// detail compares why a stimulus failed. Errors of sockets are numbers; their
// names are decoration.
func (f *framePair) detail(l, r string) {
	state, note := reports.FieldDiffers, ""
	number := socketError.FindString(l)
	switch {
	case l == r:
		state = reports.FieldSame
	case number != "" && number == socketError.FindString(r):
		state, note = f.free(normErrorText)
	}
	f.row("detail", l, r, state, note)
}

// local compares the address and port that were used; backends need not know
// them.
func (f *framePair) local(s *backends.Stimulus, a, b *backends.Outcome) {
	if !a.Local.IsValid() || !b.Local.IsValid() {
		return
	}
	la, ra := a.Local.Addr().String(), b.Local.Addr().String()
	lp, rp := strconv.Itoa(int(a.Local.Port())), strconv.Itoa(int(b.Local.Port()))
	state, note := reports.FieldSame, ""
	proto := s.Proto
	if s.Kind == backends.TCPConnect {
		proto = "tcp"
	}
	if state, note = f.addr(la, ra); state == reports.FieldDiffers {
		f.row("local", a.Local.String(), b.Local.String(), state, note)
		return
	}
	switch {
	case lp == rp:
	case f.fixed.hasPort(la, a.Local.Port()) || f.fixed.hasPort(ra, b.Local.Port()):
		state, note = reports.FieldDiffers, "one of them was asked for"
	case f.fixed.shared(la):
		state, note = f.free(normPorts)
	default:
		state, note = f.mapped(normPorts, portClass(proto), la+":"+lp, ra+":"+rp)
	}
	f.row("local", a.Local.String(), b.Local.String(), state, note)
}
