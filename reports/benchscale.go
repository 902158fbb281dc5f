package reports

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// scaleTable has a row for every world, with the columns of its packet paths.
func (t *TextWriter) scaleTable(b *Bench) {
	if len(b.Scales) == 0 {
		return
	}
	var paths []string
	for _, s := range b.Scales {
		for _, p := range s.Paths {
			if !slices.Contains(paths, p.Path) {
				paths = append(paths, p.Path)
			}
		}
	}
	w := tabwriter.NewWriter(t.W, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cols ...string) { fmt.Fprintln(w, strings.Join(cols, "\t")+"\t") }
	head := []string{"hosts", "endpoints", "build s", "first us", "last us", "KB/host", "KB/endpoint"}
	for _, p := range paths {
		head = append(head, p+" ns/pkt", "x ref", "B/flow")
	}
	row(head...)
	for _, s := range b.Scales {
		cols := []string{fmt.Sprint(s.Hosts), fmt.Sprint(s.Endpoints), fmt.Sprintf("%.2f", s.BuildSeconds), micro(s.FirstNS), micro(s.LastNS),
			fmt.Sprintf("%.1f", s.HostBytes/1024), fmt.Sprintf("%.1f", s.EndpointBytes/1024)}
		for _, name := range paths {
			i := slices.IndexFunc(s.Paths, func(p ScalePath) bool { return p.Path == name })
			if i < 0 {
				cols = append(cols, "-", "-", "-")
				continue
			}
			p := s.Paths[i]
			cols = append(cols, fmt.Sprintf("%.1f", p.NS), fmt.Sprintf("%.2f", p.Ratio), figure("%.0f", p.FlowBytes))
		}
		row(cols...)
	}
	w.Flush()
	t.printf("\n")
}
