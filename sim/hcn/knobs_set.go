package hcn

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// KnobInfo describes a knob for people.
type KnobInfo struct {
	Name     string
	Type     string   // "choice", "switch", "number", "time", "code"
	Allowed  []string // for choices and codes; words in <> stand for a value of that kind
	Rules    string   // contract rules, separated by blanks
	Doc      string
	Defaults map[string]string // by profile name
}

// natTimersKnob sets the four WinNAT timers at once, as the appendix lists
// them: ICMP/UDP/TCP transient/TCP established.
const natTimersKnob = "natTimers"

// KnobList lists every knob in the order of the documentation.
func KnobList() []KnobInfo {
	var out []KnobInfo
	for _, d := range knobDefs {
		info := KnobInfo{Name: d.name, Type: d.kind(), Allowed: d.allowed, Rules: d.rules, Doc: d.doc, Defaults: map[string]string{}}
		for _, p := range profileTable {
			info.Defaults[p.Name] = formatKnob(d.def(p))
		}
		out = append(out, info)
	}
	return out
}

// CombinedKnobs describes names that stand for several knobs at once: they can
// be set like any other, and are no settings of their own.
func CombinedKnobs() []KnobInfo {
	t := KnobInfo{Name: natTimersKnob, Type: "times", Allowed: []string{"ICMP/UDP/TCP transient/TCP established"}, Rules: "3.3 D-04",
		Doc:      "WinNAT's four idle times at once, such as 30/120/120/1800: natTimerIcmp, natTimerUdp, natTimerTcpTransient and natTimerTcpEstablished",
		Defaults: map[string]string{}}
	for _, p := range profileTable {
		k := defaultKnobs(p)
		t.Defaults[p.Name], _ = k.Get(natTimersKnob)
	}
	return []KnobInfo{t}
}

func defaultKnobs(p Profile) Knobs {
	var k Knobs
	for _, d := range knobDefs {
		switch f := d.field(&k).(type) {
		case *bool:
			*f = d.def(p).(bool)
		case *string:
			*f = d.def(p).(string)
		case *int:
			*f = d.def(p).(int)
		case *time.Duration:
			*f = d.def(p).(time.Duration)
		case *Code:
			*f = d.def(p).(Code)
		}
	}
	return k
}

func (d *knobDef) kind() string {
	switch d.field(new(Knobs)).(type) {
	case *bool:
		return "switch"
	case *int:
		return "number"
	case *time.Duration:
		return "time"
	case *Code:
		return "code"
	}
	return "choice"
}

func formatKnob(v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case Code:
		return v.Name()
	}
	return fmt.Sprint(v)
}

func findKnob(name string) *knobDef {
	for i := range knobDefs {
		if equalFold(knobDefs[i].name, name) {
			return &knobDefs[i]
		}
	}
	return nil
}

func unknownKnob(name string) error {
	names := []string{natTimersKnob}
	for _, d := range knobDefs {
		names = append(names, d.name)
	}
	return fmt.Errorf("no knob %q%s: `hnsim explain knob` lists them", name, suggest(name, names))
}

// Get returns the value of a knob as text.
func (k *Knobs) Get(name string) (string, error) {
	if equalFold(name, natTimersKnob) {
		t := k.NATTimers()
		return fmt.Sprintf("%s/%s/%s/%s", t.ICMP, t.UDP, t.TCPTransient, t.TCPEstablished), nil
	}
	d := findKnob(name)
	if d == nil {
		return "", unknownKnob(name)
	}
	switch f := d.field(k).(type) {
	case *bool:
		return formatKnob(*f), nil
	case *string:
		return *f, nil
	case *int:
		return formatKnob(*f), nil
	case *time.Duration:
		return formatKnob(*f), nil
	case *Code:
		return formatKnob(*f), nil
	}
	panic("hcn: knob " + name + " has a field of no known type")
}

// Set changes a knob. Names and choices are matched without regard to case;
// times are seconds ("240") or Go durations ("4m"). The error names the
// closest knob, or the values that are allowed. A failed Set changes nothing.
func (k *Knobs) Set(name, value string) error {
	value = strings.TrimSpace(value)
	if equalFold(name, natTimersKnob) {
		return k.setNATTimers(value)
	}
	d := findKnob(name)
	if d == nil {
		return unknownKnob(name)
	}
	var err error
	switch f := d.field(k).(type) {
	case *bool:
		err = setSwitch(f, value)
	case *string:
		err = d.setChoice(f, value)
	case *int:
		err = setNumber(f, value)
	case *time.Duration:
		err = setTime(f, value)
	case *Code:
		err = d.setCode(f, value)
	}
	if err != nil {
		return fmt.Errorf("knob %s: %w", d.name, err)
	}
	return nil
}

func (k *Knobs) setNATTimers(value string) error {
	parts := strings.Split(value, "/")
	fields := []*time.Duration{&k.NATTimerICMP, &k.NATTimerUDP, &k.NATTimerTCPTransient, &k.NATTimerTCPEstabl}
	if len(parts) != len(fields) {
		return fmt.Errorf("knob %s: %q: expected four times ICMP/UDP/TCP transient/TCP established, such as 30/120/120/1800", natTimersKnob, value)
	}
	var times [4]time.Duration
	for i, part := range parts {
		if err := setTime(&times[i], part); err != nil {
			return fmt.Errorf("knob %s: %w", natTimersKnob, err)
		}
	}
	for i, f := range fields {
		*f = times[i]
	}
	return nil
}

func setSwitch(f *bool, value string) error {
	switch strings.ToLower(value) {
	case "true", "on", "yes", "1":
		*f = true
	case "false", "off", "no", "0":
		*f = false
	default:
		return fmt.Errorf("%q: expected on or off", value)
	}
	return nil
}

func setNumber(f *int, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q: expected a number from 1 to 65535", value)
	}
	*f = n
	return nil
}

func setTime(f *time.Duration, value string) error {
	d, err := time.ParseDuration(value)
	if n, numErr := strconv.ParseUint(value, 10, 31); numErr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 {
		return fmt.Errorf("%q: expected seconds, or a time such as 4m", value)
	}
	*f = d
	return nil
}

func (d *knobDef) setChoice(f *string, value string) error {
	for _, a := range d.allowed {
		if strings.EqualFold(a, value) && !strings.HasPrefix(a, "<") {
			*f = a
			return nil
		}
		if strings.HasPrefix(a, "<") {
			if text, ok := placeholderValue(a, value); ok {
				*f = text
				return nil
			}
		}
	}
	return fmt.Errorf("%q: expected one of %s", value, strings.Join(d.allowed, ", "))
}

// placeholderValue checks a value that is not a fixed word.
func placeholderValue(placeholder, value string) (string, bool) {
	switch placeholder {
	case "<prefix>":
		p, err := netip.ParsePrefix(value)
		return value, err == nil && p.Addr().Is4() && p == p.Masked()
	case "<GUID>":
		return ParseGUID(value)
	case "<two bytes, 0E-2A>":
		mac, err := ParseMAC(value + "-00-00-00-00")
		return strings.ToUpper(value), err == nil && mac[0]&1 == 0
	}
	return "", false
}

func (d *knobDef) setCode(f *Code, value string) error {
	c, err := ParseCode(value)
	if err == nil {
		for _, a := range d.allowed {
			if c.Name() == a {
				*f = c
				return nil
			}
		}
	}
	return fmt.Errorf("%q: expected one of %s", value, strings.Join(d.allowed, ", "))
}
