module github.com/hnsim/hnsim/conformance/bench/peers

go 1.26.8

require github.com/hnsim/hnsim v0.0.0

require (
	github.com/vishvananda/netlink v1.3.1 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/term v0.47.0 // indirect
)

replace github.com/hnsim/hnsim => ../../..
