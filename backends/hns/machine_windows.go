package hns

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// computenetwork has the HCN functions. The stand-in's DLL has one more.
var computenetwork = windows.NewLazySystemDLL("computenetwork.dll")

// thisMachine finds out once what this machine is.
var thisMachine = sync.OnceValues(func() (machine, error) {
	if err := computenetwork.Load(); err != nil {
		return nil, fmt.Errorf("this Windows has no Host Networking Service (%w): install the feature Containers "+
			"(Install-WindowsFeature Containers, or Enable-WindowsOptionalFeature -Online -FeatureName Containers) and restart", err)
	}
	probes := computenetwork.NewProc("HnsimProbes")
	if probes.Find() != nil {
		return newHost()
	}
	var buf [256]byte
	n, _, _ := probes.Call(uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	if n == 0 || n >= uintptr(len(buf)) {
		return nil, errors.New("this is the stand-in of HNS, and it serves no probes (HNSIM_STANDIN_PROBES): start it with hnsim exec --probes")
	}
	return dialStandIn(string(buf[:n]), os.Getenv("HNSIM_STANDIN_TOKEN"))
})

// ptr is what Windows frees.
func ptr(p *uint16) unsafe.Pointer { return unsafe.Pointer(p) }

func dialStandIn(addr, token string) (machine, error) {
	s, err := newStandIn(addr, token, localControl())
	if err != nil {
		return nil, err // not a *standIn that is nil
	}
	return s, nil
}
