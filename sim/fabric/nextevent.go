package fabric

// NextEvent is the virtual time of the next event, timer or frame; ok is false
// if nothing is going to happen. Who maps virtual time to a clock needs it to
// know how long it may sleep.
func (l *Loop) NextEvent() (at int64, ok bool) {
	at, _, ok = l.next()
	return at, ok
}
