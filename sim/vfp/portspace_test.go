package vfp

import (
	"slices"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

const tcpProto, udpProto = wire.ProtoTCP, wire.ProtoUDP

func TestPortsHaveOneOwner(t *testing.T) { // NAT-16, NAT-33
	s := NewPortSpace()
	if got := s.Reserve(tcpProto, 8080, Socket, 1); got != Free {
		t.Fatalf("a free port: %v", got)
	}
	if _, ok := s.ReserveBlock(tcpProto, WinNATUse, WinNATBlock, 2); !ok {
		t.Fatal("no block")
	}
	s.Reserve(tcpProto, 9000, StaticUse, 3)
	s.ReserveRange(tcpProto, ports(7000, 7009), Excluded, 0)
	tests := []struct {
		name  string
		proto uint8
		port  uint16
		want  Use
	}{
		{"held by a socket", tcpProto, 8080, Socket},
		{"in a WinNAT block", tcpProto, 49200, WinNATUse},
		{"published", tcpProto, 9000, StaticUse},
		{"administered exclusion", tcpProto, 7009, Excluded},
		{"same number of another protocol", udpProto, 8080, Free},
		{"behind the block", tcpProto, 49252, Free},
		{"no ports in this protocol", 47, 1, Excluded},
	}
	for _, tt := range tests {
		if got := s.Reserve(tt.proto, tt.port, Socket, 9); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	s.Release(tcpProto, 8080, 7)
	if _, u, _ := s.OwnerOf(tcpProto, 8080); u != Socket {
		t.Error("somebody else released the port")
	}
	s.Release(tcpProto, 8080, 1)
	if _, _, ok := s.OwnerOf(tcpProto, 8080); ok {
		t.Error("the owner could not release the port")
	}
	if u := s.ReserveRange(tcpProto, ports(7009, 7012), Excluded, 0); u != Excluded {
		t.Errorf("overlapping exclusion: %v", u)
	}
	if _, _, ok := s.OwnerOf(tcpProto, 7012); ok {
		t.Error("a failed reservation left something behind")
	}
}

func TestBlocksComeLowestFirst(t *testing.T) { // NAT-12
	s := NewPortSpace()
	s.SetDynamic(ports(50000, 50349))
	s.Reserve(tcpProto, 50120, Socket, 1)
	var got []PortRange
	for {
		r, ok := s.ReserveBlock(tcpProto, WinNATUse, 100, 2)
		if !ok {
			break
		}
		got = append(got, r)
	}
	if want := []PortRange{ports(50000, 50099), ports(50200, 50299)}; !slices.Equal(got, want) {
		t.Errorf("blocks %v, want %v", got, want)
	}
	s.ReleaseRange(tcpProto, got[0], 2)
	if r, _ := s.ReserveBlock(tcpProto, WinNATUse, 100, 3); r != got[0] {
		t.Errorf("a block given back is not reused: %v", r)
	}
}

func TestPickedPortsGoRound(t *testing.T) { // NAT-34
	s := NewPortSpace()
	s.SetDynamic(ports(65533, 65535))
	s.Reserve(udpProto, 65534, Socket, 1)
	var got []uint16
	for {
		p, ok := s.ReservePick(udpProto, Socket, 2)
		if !ok {
			break
		}
		got = append(got, p)
		if len(got) == 2 {
			s.Release(udpProto, 65533, 2)
		}
	}
	if want := []uint16{65533, 65535, 65533}; !slices.Equal(got, want) {
		t.Errorf("picked %v, want %v", got, want)
	}
}

func TestExcludedListsWhatSocketsMayNotBind(t *testing.T) { // NAT-12
	s := NewPortSpace()
	s.Reserve(tcpProto, 80, Socket, 1)
	s.ReserveRange(tcpProto, ports(250, 260), Excluded, 0) // over a page's end
	s.ReserveBlock(tcpProto, VFPUse, VFPBlock, 5)
	s.ReserveBlock(tcpProto, VFPUse, VFPBlock, 6)
	want := []PortRange{ports(250, 260), ports(49152, 49215), ports(49216, 49279)}
	if got := s.Excluded(tcpProto); !slices.Equal(got, want) {
		t.Errorf("excluded %v, want %v", got, want)
	}
	if got := s.Excluded(udpProto); len(got) != 0 {
		t.Errorf("UDP: %v", got)
	}
}
