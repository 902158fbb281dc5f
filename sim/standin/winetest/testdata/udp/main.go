// Command udp uses UDP sockets in the ways of package net, as any Windows
// program written in Go does.
package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

func main() {
	for _, exchange := range []struct {
		name string
		run  func() error
	}{{"listen and dial", dialled}, {"without a connection", unconnected}, {"messages", messages}, {"every address", everyAddress}} {
		if err := exchange.run(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", exchange.name, err)
			os.Exit(1)
		}
	}
	fmt.Println("ok")
}

const timeout = 5 * time.Second

func listen(addr string) (*net.UDPConn, netip.AddrPort, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	_ = c.SetDeadline(time.Now().Add(timeout))
	return c, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), c.LocalAddr().(*net.UDPAddr).AddrPort().Port()), nil
}

func want(text string, b []byte, err error) error {
	if err != nil || string(b) != text {
		return fmt.Errorf("got %q, %v, want %q", b, err, text)
	}
	return nil
}

// echo answers one datagram with another.
func echo(server *net.UDPConn) error {
	buf := make([]byte, 100)
	n, from, err := server.ReadFromUDPAddrPort(buf)
	if err := want("ping", buf[:n], err); err != nil {
		return err
	}
	_, err = server.WriteToUDPAddrPort([]byte("pong"), from)
	return err
}

func dialled() error {
	server, addr, err := listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer server.Close()
	client, err := net.Dial("udp", addr.String())
	if err != nil {
		return err
	}
	defer client.Close()
	_ = client.SetDeadline(time.Now().Add(timeout))
	if _, err := client.Write([]byte("ping")); err != nil {
		return err
	}
	if err := echo(server); err != nil {
		return err
	}
	buf := make([]byte, 100)
	n, err := client.Read(buf)
	return want("pong", buf[:n], err)
}

// unconnected sends to a port without a listener first: the ICMP error that
// comes back must not end the socket, which is what Go asks Windows for.
func unconnected() error {
	closed, nobody, err := listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	closed.Close()
	server, addr, err := listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer server.Close()
	client, _, err := listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer client.Close()
	for _, to := range []netip.AddrPort{nobody, addr} {
		if _, err := client.WriteToUDPAddrPort([]byte("ping"), to); err != nil {
			return err
		}
	}
	if err := echo(server); err != nil {
		return err
	}
	buf := make([]byte, 100)
	n, _, err := client.ReadFromUDPAddrPort(buf)
	return want("pong", buf[:n], err)
}

func messages() error {
	server, addr, err := listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer server.Close()
	client, _, err := listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer client.Close()
	if _, _, err := client.WriteMsgUDPAddrPort([]byte("ping"), nil, addr); err != nil {
		return err
	}
	buf := make([]byte, 100)
	n, _, _, _, err := server.ReadMsgUDPAddrPort(buf, nil)
	return want("ping", buf[:n], err)
}

func everyAddress() error {
	server, addr, err := listen("0.0.0.0:0")
	if err != nil {
		return err
	}
	defer server.Close()
	client, err := net.Dial("udp4", addr.String())
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Write([]byte("ping")); err != nil {
		return err
	}
	return echo(server)
}
