// Probe is a Windows program that shows what a program sees.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

func main() {
	verb, args := os.Args[1], os.Args[2:]
	switch verb {
	case "exit":
		n, _ := strconv.ParseUint(args[0], 0, 32)
		os.Exit(int(n))
	case "arguments":
		_ = json.NewEncoder(os.Stdout).Encode(args)
	case "folder":
		dir, err := os.Getwd()
		fmt.Println(dir, err)
	case "streams":
		s := bufio.NewScanner(os.Stdin)
		for s.Scan() {
			fmt.Println("line", s.Text())
		}
		fmt.Fprintln(os.Stderr, "end", s.Err())
	case "signal":
		c := make(chan os.Signal, 4)
		signal.Notify(c)
		fmt.Println("waiting")
		select {
		case s := <-c:
			fmt.Println("got", s)
			os.Exit(7)
		case <-time.After(time.Minute):
		}
	case "wait":
		fmt.Println("waiting")
		time.Sleep(time.Minute)
	case "leave": // a child that outlives this process
		c := exec.Command(os.Args[0], "wait")
		c.Stdout = os.Stdout
		if err := c.Start(); err != nil {
			fmt.Println(err)
		}
	case "powershell": // the answer to every command, as a line of JSON
		for _, a := range args {
			answerOf(a)
		}
	case "interfaces":
		showInterfaces()
	}
}

func answerOf(command string) {
	var a struct {
		Code     int
		Out, Err string
	}
	c := exec.Command("powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", command)
	var out, errOut strings.Builder
	c.Stdout, c.Stderr = &out, &errOut
	if err := c.Run(); c.ProcessState == nil {
		fmt.Println(err)
		os.Exit(1)
	}
	a.Code, a.Out, a.Err = c.ProcessState.ExitCode(), out.String(), errOut.String()
	_ = json.NewEncoder(os.Stdout).Encode(a)
}

func showInterfaces() {
	type iface struct {
		Name, MAC string
		MTU       int
		Up        bool
		Addrs     []string
	}
	var all []iface
	list, err := net.Interfaces()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, i := range list {
		v := iface{i.Name, i.HardwareAddr.String(), i.MTU, i.Flags&net.FlagUp != 0, nil}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			v.Addrs = append(v.Addrs, a.String())
		}
		all = append(all, v)
	}
	_ = json.NewEncoder(os.Stdout).Encode(all)
}
