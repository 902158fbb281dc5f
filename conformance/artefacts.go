package conformance

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios/script"
)

// maxName is the longest name of an artefact's folder: Windows paths end at
// 260 characters.
const maxName = 120

// folderName makes a file name of a scenario id that every file system takes.
func folderName(id string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_=,.", r):
			return r
		}
		return '.'
	}, id)
	name = strings.Trim(name, ".")
	if len(name) > maxName || name == "" {
		h := fnv.New32a()
		h.Write([]byte(id))
		name = fmt.Sprintf("%s-%08x", name[:min(len(name), maxName-9)], h.Sum32())
	}
	return name
}

// writeArtefacts writes what explains a result into its folder below Out. What
// cannot be written is said in the result: it must not change the verdict.
func (r *Runner) writeArtefacts(res *reports.Result, raw *script.Result) {
	if r.cfg.Out == "" {
		return
	}
	folder := folderName(res.ID)
	write := func(kind, name string, data []byte) {
		if len(data) == 0 {
			return
		}
		dir := filepath.Join(r.cfg.Out, folder)
		err := os.MkdirAll(dir, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			if res.Failure != nil {
				res.Failure.Detail += fmt.Sprintf("\n%s was not written: %v", kind, err)
			}
			return
		}
		res.Artefacts = append(res.Artefacts, reports.Artefact{Kind: kind, Path: folder + "/" + name})
	}
	write("trace", "trace.txt", traceText(raw))
	write("log", "log.txt", []byte(raw.Log))
	if len(raw.Observations) > 0 {
		capture, err := Capture(raw.Observations, fmt.Sprintf("%s seed %d profile %s", res.ID, r.cfg.Seed, r.cfg.Profile))
		if err != nil && res.Failure != nil {
			res.Failure.Detail += "\n" + err.Error()
		}
		write("pcapng", "packets.pcapng", capture)
	}
}

func traceText(raw *script.Result) []byte {
	if raw.Failure == nil || len(raw.Failure.Trace) == 0 {
		return nil
	}
	var b bytes.Buffer
	for _, l := range raw.Failure.Trace {
		fmt.Fprintln(&b, l)
	}
	if len(raw.Failure.Drops) > 0 {
		fmt.Fprintln(&b, "\ndrops since the last stimulus")
		for _, d := range raw.Failure.Drops {
			fmt.Fprintln(&b, d)
		}
	}
	return b.Bytes()
}

// Capture writes observations as a packet capture: one interface for each NIC,
// each wire and the drops of each node, in the order of their first packet.
// Drops carry their reason and place as a comment that begins with "drop".
func Capture(seen []backends.Observation, comment string) ([]byte, error) {
	var b bytes.Buffer
	w, err := reports.NewPcapngWriter(&b, comment)
	if err != nil {
		return nil, err
	}
	points := map[string]int{}
	for _, o := range seen {
		name, packet := pointOf(o)
		i, ok := points[name]
		if !ok {
			if i, err = w.Interface(name, ""); err != nil {
				return nil, err
			}
			points[name] = i
		}
		packet.Interface = i
		if err := w.Packet(packet); err != nil {
			return nil, fmt.Errorf("observation %d: %w", o.Seq, err)
		}
	}
	return b.Bytes(), nil
}

// pointOf names the point of the pipeline at which something was seen.
func pointOf(o backends.Observation) (string, reports.CapturedPacket) {
	p := reports.CapturedPacket{At: o.At, Frame: o.Frame, ID: o.ID}
	switch o.Kind {
	case backends.Received:
		p.Direction = reports.Inbound
		return "nic " + o.Role, p
	case backends.Sent:
		p.Direction = reports.Outbound
		return "nic " + o.Role, p
	case backends.OnWire:
		p.Direction = reports.Inbound
		if o.Peer == "tx" {
			p.Direction = reports.Outbound
		}
		return "wire " + o.Role, p
	case backends.DroppedAt:
		p.Comments = []string{strings.TrimSpace(fmt.Sprintf("drop %s at %s", o.Reason, o.Where))}
		return "drop " + o.Role, p
	}
	return string(o.Kind) + " " + o.Role, p
}
