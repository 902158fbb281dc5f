package winetest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/wine"
)

// TestTheDLLsKeepTheConventions runs the checks of testdata/check, each in a
// process and against a host of its own.
func TestTheDLLsKeepTheConventions(t *testing.T) {
	b := mkBuilt(t)
	for _, check := range []string{"families", "identity", "v1", "callbacks", "guests", "compute", "texts", "threads"} {
		t.Run(check, func(t *testing.T) {
			s := mkServer(t, "", "")
			s.AddContainer("c1")
			run(t, s.Addr(), s.Token(), nil, nil, b.check, check).mustPass(t, check+": 0 failures")
		})
	}
}

// TestAListWithoutMemoryIsAFailure has a server between that counts more
// reservations than a process has memory for.
func TestAListWithoutMemoryIsAFailure(t *testing.T) {
	b := mkBuilt(t)
	s := mkServer(t, "", "")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			go exaggerate(client, s.Addr())
		}
	}()
	run(t, ln.Addr().String(), s.Token(), nil, nil, b.check, "memory").mustPass(t, "memory: 0 failures")
}

// exaggerate passes a connection on, with a number in the answers to
// enumerations of reservations that is far too large.
func exaggerate(client net.Conn, addr string) {
	defer client.Close()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	frame := func(from net.Conn) []byte {
		head := make([]byte, 4)
		if _, err := io.ReadFull(from, head); err != nil {
			return nil
		}
		all := append(head, make([]byte, binary.LittleEndian.Uint32(head))...)
		if _, err := io.ReadFull(from, all[4:]); err != nil {
			return nil
		}
		return all
	}
	for {
		request := frame(client)
		_, _ = server.Write(request)
		answer := frame(server)
		if request == nil || answer == nil {
			return
		}
		if bytes.Contains(request, []byte("HcnEnumerateGuestNetworkPortReservations")) {
			binary.LittleEndian.PutUint64(answer[4+4+8:], 1<<60) // behind length, HRESULT and handle
		}
		_, _ = client.Write(answer)
	}
}

// TestLongTextsArriveWhole has endpoints with four megabytes of names.
func TestLongTextsArriveWhole(t *testing.T) {
	b := mkBuilt(t)
	s := mkServer(t, "", "")
	c, err := standin.Dial(s.Addr(), s.Token(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	must := func(r standin.Request) uint64 {
		t.Helper()
		resp, err := c.Call(r)
		if err != nil || resp.HResult != 0 {
			t.Fatalf("%v 0x%08x %s", err, resp.HResult, resp.Texts[1].Value)
		}
		return resp.Handle
	}
	network := must(standin.Request{Function: "HcnCreateNetwork", Texts: []standin.Text{standin.Str(`{"Name":"big","Type":"NAT"}`)}})
	for i := range 41 {
		doc := fmt.Sprintf(`{"Name":"%d%s","SchemaVersion":{"Major":2,"Minor":0}}`, i, strings.Repeat("e", 100_000))
		must(standin.Request{Function: "HcnCreateEndpoint", Handle: network, Texts: []standin.Text{standin.Str(doc)}})
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	run(t, s.Addr(), s.Token(), nil, nil, b.check, "long").mustPass(t, "long: 0 failures")
}

func TestAWrongTokenIsToldFromAServerThatIsNotThere(t *testing.T) {
	b := mkBuilt(t)
	s := mkServer(t, "", "")
	run(t, s.Addr(), "wrong", nil, nil, b.check, "refused").mustPass(t, "refused: 0 failures")
}

// TestAProgramOutlivesItsServer ends the server under a program and puts
// another in its place, twice.
func TestAProgramOutlivesItsServer(t *testing.T) {
	b := mkBuilt(t)
	s := mkServer(t, "", "")
	addr, token := s.Addr(), s.Token()
	in, answer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	said, out := io.Pipe()
	done := make(chan *program, 1)
	go func() {
		done <- run(t, addr, token, in, out, b.check, "gone")
		out.Close()
	}()
	replace := func(again bool) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if again {
			s = mkServer(t, addr, token)
		}
	}
	for lines := bufio.NewScanner(said); lines.Scan(); {
		switch strings.TrimSpace(lines.Text()) {
		case "connected":
			replace(false)
		case "disconnected":
			s = mkServer(t, addr, token)
		case "again":
			replace(true)
		default:
			continue
		}
		if _, err := answer.Write([]byte("go\n")); err != nil {
			t.Error(err)
		}
	}
	answer.Close()
	(<-done).mustPass(t, "gone: 0 failures")
}

// TestTheServerIsFoundThroughItsTokenFile has addresses of both families.
func TestTheServerIsFoundThroughItsTokenFile(t *testing.T) {
	b := mkBuilt(t)
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			if ln, err := net.Listen("tcp", addr); err != nil {
				t.Skip(err)
			} else {
				ln.Close()
			}
			s := mkServer(t, addr, "")
			file := filepath.Join(t.TempDir(), "standin.txt")
			if err := os.WriteFile(file, []byte(s.Addr()+" "+s.Token()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("HNSIM_STANDIN_FILE", wine.Path(file))
			run(t, "", "", nil, nil, b.check, "v1").mustPass(t, "v1: 0 failures")
		})
	}
}

func TestGoProgramsHaveUDPSockets(t *testing.T) {
	b := mkBuilt(t)
	run(t, "", "", nil, nil, b.udp).mustPass(t, "ok")
}
