// Package vfp is the Virtual Filtering Platform: the engine that walks a
// packet through the policy of switch ports and remembers the result.
//
// It knows packets, rules and flows. It does not know what a rule is for
// (acl, overlay, snat and l2bridge compile those), nor which port a MAC
// belongs to (vswitch), nor documents (hns). It imports wire only.
//
//	             port of the source, OUT                      port of the target, IN
//	frame ──► layer 100 ─► layer 200 ─► layer 300 ─► switch ─► layer 300 ─► layer 200 ─► layer 100 ──► frame
//	   │         │                                   decides                                 ▲
//	   │         ├─ layer flow known? apply its header change                                │
//	   │         └─ else groups in order, one rule each; a stateful rule records a pair      │
//	   │                                                                                     │
//	   └──► unified flow cache ── hit: touch the layer flows, apply the transposition ───────┘
//
// There are two kinds of flow, and the difference matters.
//
// A layer flow is semantic: it is what a stateful rule leaves behind (a reply
// allowed, an address translated), it always exists, and it is looked up on
// every packet that walks. It is a pair: the forward direction carries the
// layer's header change, the reverse direction its inverse (rule VFP-07).
//
// A unified flow is a shortcut: the outcome of a whole walk over two ports,
// stored as one Transposition under the exact key of the packet. It refers to
// every layer flow that the walk touched, and to a watch counter for every
// tuple that a stateful layer did not know; it is used only while all of
// those are as they were. So the model without the cache does the same, bit
// for bit (rule VFP-12), and a property test says so.
//
// # How a switch uses it
//
//	src.Cache.Lookup ── hit ──► t.Apply(p)                     fast path
//	        │ miss
//	        ▼
//	w.Begin(now, p, zone, trace)
//	src.Walk(&w, vfp.Out)          Stop: w.Drop or w.Replies
//	... decide the target from w.Fwd, resolve w.Encap's MACs ...
//	dst.Walk(&w, vfp.In)
//	t := vfp.Diff(&w); t.Out = dst
//	src.Cache.Install(key, &w, &t, gen)   if vfp.Cachable(&w)
//	w.Commit(p, &t)                 the same Apply, after NewFrame
//
// Most packets need less: those that are plain, and whose entry is quick (see
// quick.go), take PlainKeys, Warm and Run, each for a batch, in place of Parse,
// Key, Lookup and Apply, with the same result. What they read is a slot of the
// index and one or two cache lines of the entry; Warm brings them near, stage by
// stage. Layer flows are told later (see dependents.go).
//
// # Concurrency
//
// A Port, its cache and its store belong to one worker. SetProgram may be
// called from anywhere; the port adopts the new program at its next Walk or
// Age. Time arrives as an argument. Nothing here starts goroutines, takes
// locks, reads clocks or iterates over maps on the packet path.
package vfp
