// Package guest puts real TCP/IP stacks into a simulated world: containers and
// external machines whose connections are net.Conn and whose servers are
// net.Listener, so that net/http, TLS or any other Go program talks across
// virtual switches, VFP, WinNAT and VXLAN.
//
//	w, _ := sim.New(sim.Config{})
//	...                                       // hosts, networks, containers
//	r, g, _ := guest.Attach(w, guest.Container(h1, ns1), guest.Container(h2, ns2))
//	defer r.Close()
//	ln, _ := g[1].Listen("tcp", ":80")
//	go http.Serve(ln, handler)
//	resp, _ := g[0].HTTPClient().Get("http://10.244.2.20/")
//
// How a byte travels:
//
//	your goroutines          gVisor's            the pump              the world
//
//	conn.Write ──► netstack TCP/IP ──► ring ──► Runner ──► tap ──► switch port ─┐
//	                                              │                             │
//	               link (Ethernet, ARP)           │ virtual time follows        ▼
//	                                              │ the wall clock        VFP, WinNAT, wire
//	                                              │                             │
//	conn.Read ◄─── netstack TCP/IP ◄── ring ◄── Runner ◄── tap ◄── switch port ◄┘
//
// A world is used from one goroutine. While guests are in it that goroutine is
// the Runner's pump; everybody else touches the world through Runner.Do. A tap
// (ipstack.Tap) takes ARP and IPv4 of the machine's interfaces away from its
// small stack; IPv6 stays with it. Close gives everything back.
//
// # Time
//
// Virtual time follows the wall clock, 1:1 or by Config.Scale, for the world
// and for the stacks alike: timeouts of TCP, delays of wires and idle timers of
// NAT belong together. Deadlines and contexts are those of the caller's
// program: they are on the wall clock.
//
// Guests make a world that cannot be repeated: which goroutine runs first
// decides the order of frames, and how fast they run decides their times. So a
// world with guests is exempt from the promise of equal hashes for equal
// seeds; what a wire loses is still drawn from its seed, but not which frame
// it is. Scenarios use the deterministic package ipstack instead. Tests with
// guests should wait for results, never for a number of seconds or frames.
//
// # Not modelled
//
// IPv6; a resolver (addresses are literal); Windows' TCP in detail: what
// guests share with it is TTL 128, ephemeral ports 49152 to 65535 and the
// shortest retransmission timeout of short round trips, 60 ms. Closed ports
// refuse, as with the firewall off, while the small stack is silent. The
// guest's addresses, routes and MTU are those of the moment of Attach: HNS may
// change policies afterwards, but an interface that it makes anew is lost to
// the guest, whose frames then count as Stats.Lost. A DHCP lease is not renewed
// while a guest is attached. A host's own compartment and routers keep their
// stacks, since those forward and translate.
//
// The package is the only one that knows gVisor. It must not know documents,
// policies or scenarios, and nothing in the packet path may depend on it.
package guest
