// Package hcntest is a Host Networking Service for tests: a driver author
// gives it to his code instead of hcsshim, on any system and without wine, and
// then sends packets through what the code has made.
//
//	lab := hcntest.New(t, hcntest.Config{Profile: "ws2022"})
//	h1 := lab.Host("h1")
//	ep, err := driver.AddPod(h1, "172.16.0.10")  // the code under test
//	web := h1.Run(ep.Id)                         // the container runtime
//	web.Listen("tcp", 80)
//	_, err = lab.External().Reach("tcp", "10.127.130.35:8080")
//
// A Host implements HCN, an interface with the shape of the calls of hcsshim's
// package hcn, and HNS, the older one of its root package. Types, constants,
// errors and predicates have hcsshim's names and fields. Behind it
// is the model of this project: the same refusals with the same codes, the same
// values filled in, the versions and features of the build that the
// configuration names, and a data plane that carries packets.
//
// It knows the names of hcsshim and the model's face. No type of the model is
// part of its interface. It must not know scenarios, backends or the command
// line, and nothing in this module imports it: it is for other modules.
package hcntest
