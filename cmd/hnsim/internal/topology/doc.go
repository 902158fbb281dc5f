// Package topology reads the file that describes a world: hosts, routers,
// external machines and what surrounds them, in the words that scenarios use.
// It builds that world in the model, and knows nothing of what then happens
// there.
//
//	{
//	  "profile": "ws2025",
//	  "seed": 1,
//	  "knobs": {"name": "value"},
//	  "hosts": [
//	    {"name": "h1", "ip": ["10.127.130.35/24"], "mac": "00-15-5D-82-00-23",
//	     "gw": "10.127.130.1", "segment": "lan", "nic": "Ethernet", "mtu": 1500, "vlan": 0,
//	     "route": [{"to": "10.9.0.0/16", "via": "10.127.130.9"}],
//	     "outer": {"spoofing": false, "cas": ["10.127.130.35"]}}
//	  ],
//	  "routers": [
//	    {"name": "r", "interfaces": [{"segment": "lan", "ip": ["10.127.130.1/24"]},
//	                                 {"segment": "wan", "ip": ["203.0.113.1/24"]}]}
//	  ],
//	  "externals": [
//	    {"name": "x", "interfaces": [{"segment": "wan", "ip": ["203.0.113.80/24"]}],
//	     "dhcp": "203.0.113.100-203.0.113.200", "refuse": true, "icmp": false}
//	  ],
//	  "links": [{"node": "h1", "delay": "2ms", "loss": "1%", "reorder": "0%", "rate": 1000000, "mtu": 1400}],
//	  "containers": ["c1"]
//	}
//
// Only hosts is required, with a name and an address each. A router's and an
// external machine's interface takes segment, nic, ip, mac, gw, mtu and vlan
// as a host does; both may have routes. A host or an external machine without
// gw uses the router of its segment. outer puts the host, as a virtual machine,
// on a port of a switch of its own. Containers are those that v1 attach finds
// running. Keys that do not exist, or are there twice, are errors, and so are
// worlds that cannot be, such as two nodes with one address. The manual of the
// format is sim/standin/README.md.
package topology
