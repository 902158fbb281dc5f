//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/wire"
)

// Verdicts of an XDP program.
const (
	xdpDrop = 1
	xdpPass = 2
	xdpTX   = 3
)

// xdp is a program with its maps.
type xdp struct {
	prog *ebpf.Program
	maps []*ebpf.Map
}

// natEntry is the value of a flow, as the program reads it.
type natEntry struct {
	addr      [4]byte
	port      [2]byte // in network order
	ipDelta   uint16  // what the checksums change by, as words of the frame are read here
	udpDelta  uint16
	out       uint16
	seen      uint32
	pkts, len uint64
}

func openXDP(path string, flows int) (runner, error) {
	k := routed
	if path == "l2" {
		k = switched
	}
	t, err := newTraffic(k, flows, false)
	if err != nil {
		return nil, err
	}
	x := &xdp{}
	var body asm.Instructions
	switch path {
	case "l2":
		body, err = x.l2(flows)
	case "nat":
		body, err = x.nat(flows)
	case "generator":
		body = asm.Instructions{asm.Ja.Label("tx")}
	default:
		err = fmt.Errorf("no path %s", path)
	}
	if err == nil {
		err = x.load(t, body, xdpTX)
	}
	if err == nil {
		err = x.check(path)
	}
	if err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

func (x *xdp) newMap(s ebpf.MapSpec) (*ebpf.Map, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("needs root for BPF")
	}
	_ = rlimit.RemoveMemlock() // kernels before 5.11 need it; where it fails, the map says so
	m, err := ebpf.NewMap(&s)
	if err != nil {
		return nil, fmt.Errorf("BPF map: %w", err)
	}
	x.maps = append(x.maps, m)
	return m, nil
}

// Registers: R6 the context, R7 the frame, R8 its end, R9 the packet's number.
// The stack holds keys below R10.
const (
	keySlot  = -4  // uint32
	keySlot1 = -16 // uint64
	keySlot0 = -24 // uint64
)

// load puts the generator in front of a body. It copies the next frame of the
// traffic over the one that is there, as a NIC would, and leaves the packet's
// number in R9. The body jumps to tx or drop.
func (x *xdp) load(t *traffic, body asm.Instructions, verdict int32) error {
	state, err := x.newMap(ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return err
	}
	frames, err := x.newMap(ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: frameLen, MaxEntries: uint32(t.n)})
	if err != nil {
		return err
	}
	keys, values := make([]uint32, t.n), make([][frameLen]byte, t.n)
	for i := range keys {
		keys[i], values[i] = uint32(i), [frameLen]byte(t.next())
	}
	if _, err := frames.BatchUpdate(keys, values, nil); err != nil {
		return fmt.Errorf("filling the traffic: %w", err)
	}
	code := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R7, asm.R6, 0, asm.Word),
		asm.LoadMem(asm.R8, asm.R6, 4, asm.Word),
		asm.Mov.Reg(asm.R0, asm.R7),
		asm.Add.Imm(asm.R0, frameLen),
		asm.JGT.Reg(asm.R0, asm.R8, "drop"),
		asm.StoreImm(asm.R10, keySlot, 0, asm.Word),
	}
	code = append(code, lookup(state, keySlot)...)
	code = append(code,
		asm.LoadMem(asm.R9, asm.R0, 0, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R9),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R9),
		asm.And.Imm(asm.R1, int32(t.n-1)),
		asm.StoreMem(asm.R10, keySlot, asm.R1, asm.Word),
	)
	code = append(code, lookup(frames, keySlot)...)
	for at := int16(0); at < frameLen; at += 8 {
		code = append(code, asm.LoadMem(asm.R1, asm.R0, at, asm.DWord), asm.StoreMem(asm.R7, at, asm.R1, asm.DWord))
	}
	code = append(code, body...)
	code = append(code,
		asm.Mov.Imm(asm.R0, verdict).WithSymbol("tx"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"),
		asm.Return(),
	)
	x.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT", Instructions: code})
	if err != nil {
		return fmt.Errorf("BPF program: %w", err)
	}
	return nil
}

// lookup leaves the value of the key at a place of the stack in R0, or drops.
func lookup(m *ebpf.Map, key int32) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, key),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
	}
}

// l2 looks both MAC addresses up, marks the source as seen and knows the port.
func (x *xdp) l2(flows int) (asm.Instructions, error) {
	macs, err := x.newMap(ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: uint32(4 * flows)})
	if err != nil {
		return nil, err
	}
	keys, values := make([][8]byte, 2*flows), make([][2]uint32, 2*flows)
	for i := range keys {
		mac := macOf(i)
		copy(keys[i][:], mac[:])
		values[i][0] = uint32(i / flows)
	}
	if _, err := macs.BatchUpdate(keys, values, nil); err != nil {
		return nil, fmt.Errorf("filling the MAC table: %w", err)
	}
	code := asm.Instructions{
		asm.LoadMem(asm.R1, asm.R7, 0, asm.DWord),
		asm.LSh.Imm(asm.R1, 16), // six bytes of it, at the lower end
		asm.RSh.Imm(asm.R1, 16),
		asm.StoreMem(asm.R10, keySlot1, asm.R1, asm.DWord),
	}
	code = append(code, lookup(macs, keySlot1)...)
	code = append(code,
		asm.LoadMem(asm.R8, asm.R0, 0, asm.Word), // the port; the frame's end is not needed any more
		asm.LoadMem(asm.R1, asm.R7, 4, asm.DWord),
		asm.RSh.Imm(asm.R1, 16),
		asm.StoreMem(asm.R10, keySlot1, asm.R1, asm.DWord),
	)
	code = append(code, lookup(macs, keySlot1)...)
	return append(code,
		asm.StoreMem(asm.R0, 4, asm.R9, asm.Word),
		asm.JNE.Imm(asm.R8, 1, "drop"), // all stations that frames go to are there
	), nil
}

// natTable fills the map of flows.
func (x *xdp) natTable(flows int) (*ebpf.Map, error) {
	table, err := x.newMap(ebpf.MapSpec{Type: ebpf.Hash, KeySize: 16, ValueSize: 32, MaxEntries: uint32(2 * flows)})
	if err != nil {
		return nil, err
	}
	b, err := newBuilder()
	if err != nil {
		return nil, err
	}
	keys, values := make([][16]byte, flows), make([]natEntry, flows)
	frame := make([]byte, frameLen)
	for f := range flows {
		b.flow(frame, f)
		copy(keys[f][:], frame[26:38])
		keys[f][12] = wire.ProtoUDP
		e := &values[f]
		e.addr = natAddr.As4()
		binary.BigEndian.PutUint16(e.port[:], uint16(1024+f))
		was, now := frame[26:30], e.addr[:]
		const minus = 0xffff // a complement takes a word away
		e.ipDelta = fold((minus ^ word(was)) + (minus ^ word(was[2:])) + word(now) + word(now[2:]))
		e.udpDelta = fold(uint32(e.ipDelta) + (minus ^ word(frame[34:])) + word(e.port[:]))
	}
	if _, err := table.BatchUpdate(keys, values, nil); err != nil {
		return nil, fmt.Errorf("filling the flow table: %w", err)
	}
	return table, nil
}

// word is a 16-bit word as a load of the program reads it.
func word(b []byte) uint32 { return uint32(binary.NativeEndian.Uint16(b)) }

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// nat looks the flow up and does what the C limit does: address and port, both
// checksums, TTL, MAC addresses, counters.
func (x *xdp) nat(flows int) (asm.Instructions, error) {
	table, err := x.natTable(flows)
	if err != nil {
		return nil, err
	}
	code := asm.Instructions{
		asm.LoadMem(asm.R1, asm.R7, 12, asm.Half),
		asm.JNE.Imm(asm.R1, 8, "drop"),
		asm.LoadMem(asm.R1, asm.R7, 14, asm.Byte),
		asm.JNE.Imm(asm.R1, 0x45, "drop"),
		asm.LoadMem(asm.R1, asm.R7, 26, asm.DWord),
		asm.StoreMem(asm.R10, keySlot0, asm.R1, asm.DWord),
		asm.LoadMem(asm.R1, asm.R7, 34, asm.Word),
		asm.LoadMem(asm.R2, asm.R7, 23, asm.Byte),
		asm.LSh.Imm(asm.R2, 32),
		asm.Or.Reg(asm.R1, asm.R2),
		asm.StoreMem(asm.R10, keySlot1, asm.R1, asm.DWord),
	}
	code = append(code, lookup(table, keySlot0)...)
	code = append(code,
		asm.LoadMem(asm.R1, asm.R0, 0, asm.Word), // address
		asm.StoreMem(asm.R7, 26, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R0, 4, asm.Half), // port
		asm.StoreMem(asm.R7, 34, asm.R1, asm.Half),
		asm.LoadMem(asm.R2, asm.R0, 6, asm.Half), // IP checksum; TTL less one is ~1
		asm.Add.Imm(asm.R2, 0xfffe),
	)
	code = append(code, mend(24)...)
	code = append(code,
		asm.StoreMem(asm.R7, 24, asm.R1, asm.Half),
		asm.LoadMem(asm.R1, asm.R7, 22, asm.Byte),
		asm.Sub.Imm(asm.R1, 1),
		asm.StoreMem(asm.R7, 22, asm.R1, asm.Byte),
		asm.LoadMem(asm.R2, asm.R0, 8, asm.Half), // UDP checksum, never 0
	)
	code = append(code, mend(40)...)
	code = append(code,
		asm.JNE.Imm(asm.R1, 0, "sum"),
		asm.Mov.Imm(asm.R1, 0xffff),
		asm.StoreMem(asm.R7, 40, asm.R1, asm.Half).WithSymbol("sum"),
	)
	macs := append(peerMAC[:], inMAC[:]...)
	for at := 0; at < 12; at += 4 {
		code = append(code, asm.StoreImm(asm.R7, int16(at), int64(int32(binary.NativeEndian.Uint32(macs[at:]))), asm.Word))
	}
	for _, c := range []struct {
		at  int16
		add int32
	}{{16, 1}, {24, frameLen}} {
		code = append(code, asm.LoadMem(asm.R1, asm.R0, c.at, asm.DWord), asm.Add.Imm(asm.R1, c.add), asm.StoreMem(asm.R0, c.at, asm.R1, asm.DWord))
	}
	return append(code, asm.StoreMem(asm.R0, 12, asm.R9, asm.Word)), nil
}

// mend leaves in R1 the checksum at a place of the frame after R2 was added to
// what it covers.
func mend(at int16) asm.Instructions {
	code := asm.Instructions{asm.LoadMem(asm.R1, asm.R7, at, asm.Half), asm.Xor.Imm(asm.R1, 0xffff), asm.Add.Reg(asm.R1, asm.R2)}
	for range 2 {
		code = append(code, asm.Mov.Reg(asm.R2, asm.R1), asm.And.Imm(asm.R2, 0xffff), asm.RSh.Imm(asm.R1, 16), asm.Add.Reg(asm.R1, asm.R2))
	}
	return append(code, asm.Xor.Imm(asm.R1, 0xffff))
}

// check looks at what becomes of some frames.
func (x *xdp) check(path string) error {
	for range 100 {
		out := make([]byte, frameLen)
		verdict, err := x.prog.Run(&ebpf.RunOptions{Data: make([]byte, frameLen), DataOut: out})
		if err != nil {
			return fmt.Errorf("BPF_PROG_TEST_RUN: %w", err)
		}
		if verdict != xdpTX {
			return fmt.Errorf("the program says %d: %s", verdict, wire.Summary(out))
		}
		if err := wire.VerifyChecksums(out); err != nil {
			return err
		}
		var m wire.Meta
		if wire.Parse(out, &m); path == "nat" && (m.Src(out) != natAddr || m.TTL(out) != 63 || !bytes.Equal(out[:6], peerMAC[:])) {
			return fmt.Errorf("not translated: %s", wire.Summary(out))
		}
	}
	return nil
}

func (x *xdp) run(n int) (float64, error) {
	do := func(n int) error {
		verdict, err := x.prog.Run(&ebpf.RunOptions{Data: make([]byte, frameLen), Repeat: uint32(n)})
		if err == nil && verdict != xdpTX {
			err = fmt.Errorf("the program says %d", verdict)
		}
		return err
	}
	if err := do(max(n/8, 1)); err != nil { // what ran in between has used the caches
		return 0, err
	}
	begun := cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)
	err := do(n)
	return float64(cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)-begun) / float64(n), err
}

func (x *xdp) close() {
	if x.prog != nil {
		x.prog.Close()
	}
	for _, m := range x.maps {
		m.Close()
	}
}
