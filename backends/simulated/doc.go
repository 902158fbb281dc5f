// Package simulated is the software model as a backend: it translates the
// backend contract into calls of sim.World and keeps the record of what was
// seen. It has every capability, and virtual time.
//
// Settings that it understands (backends.Setting):
//
//	port.spoofing, port.dhcpguard, port.routerguard   on|off          of a container
//	port.storm        packets per second                              of a container
//	port.vlan         access=7 | trunk=7,8 native=1 | isolated=10,101 | promiscuous=10,101 | community=10,102,
//	                  each with prioritytag behind it to keep priority tags
//	port.isolation    none | vlan=7 untagged=on|off tenants=8,9 | subnet=5001 | external=5001
//	port.mirror       none|source|destination                         of a container
//	port.acl          in|out allow|deny [local=PFX] [remote=PFX]      of a container, added
//	port.extacl       in|out allow|deny weight=N [proto=tcp] [remote=PFX] [lport=80] [rport=80] [stateful] [idle=255s]
//	nat.filtering     tcp=EIF|ADF udp=EIF|ADF                         of a host
//	nat.timers        icmp=30s udp=120s transient=120s established=1800s
//	nat.sessions      how many there may be at a time                 of a host
//	firewall.rule     enable|disable tcp:8080: what HNS added for it   of a host
//	firewall.profile  [in=allow|block] [out=allow|block]: of the host's own sockets, of a host
//	ports.exclude     tcp:8000-8100                                   of a host
//	ports.dynamic     49152-50000                                     of a host
//	socket            tcp:50005 | close tcp:50005, also what a        of a role
//	                  listen stimulus has opened
//	hns.restart, hns.stop, hns.start, host.reboot, host.adapter in|out,
//	host.vfp on|off                                                   of a host
//	outer.spoofing    on|off                                          of a host on an outer switch
//	outer.cas         ADDR,ADDR: the addresses of the VM's port       of a host on an outer switch
//	vm.host           NAME: the physical host that it moves to           of a virtual machine
//	sdn.agent         on|off: whether the controller's policy arrives   of a physical host
//	mux               on|off: whether it announces virtual addresses    of a multiplexer
//	outer.acl         none | what port.extacl takes, replaced         of a host on an outer switch
//	outer.limit       none | ADDR rate=BYTES a second, replaced       of a host on an outer switch
//	outer.intercept   none | the UDP port of the machine's own overlay of a host on an outer switch
package simulated
