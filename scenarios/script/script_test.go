package script

import (
	"context"
	"strings"
	"testing"
)

// Topology of most tests: c1 and c2 on h1, c3 on h2, x outside.
const topology = `host h1 ip=10.0.0.1/24 ip=fd00::1/64 mac=02-00-00-00-00-A1
host h2 ip=10.0.0.2/24 mac=02-00-00-00-00-A2
external x ip=10.0.0.9/24 mac=02-00-00-00-00-A9 opt.dhcp=10.0.0.50
network h1 n1 net.json
network h2 n2 net.json
endpoint c1 n1 ep1.json
endpoint c2 n1 ep2.json
endpoint c3 n2 ep3.json
`

const topologyFiles = `-- net.json --
{"Name":"n","Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.1.0.0/24"}]}],
 "Policies":[{"Type":"DrMacAddress","Settings":{"Address":"02-00-00-00-00-DD"}}]}
-- ep1.json --
{"Name":"c1","MacAddress":"02-00-00-00-00-01","IpConfigurations":[{"IpAddress":"10.1.0.10","PrefixLength":24}]}
-- ep2.json --
{"Name":"c2","MacAddress":"02-00-00-00-00-02","IpConfigurations":[{"IpAddress":"10.1.0.11","PrefixLength":24},{"IpAddress":"fd01::11","PrefixLength":64}]}
-- ep3.json --
{"Name":"c3","MacAddress":"02-00-00-00-00-03","IpConfigurations":[{"IpAddress":"10.1.0.20","PrefixLength":24}]}
`

const headLines = "# T-1: a test\n# rules: NAT-10\n\n"

// mkSource makes a scenario file of lines, with the topology in front. Files of
// its own may follow the lines, from the first "-- " on.
func mkSource(lines string) string {
	script, files, _ := strings.Cut(lines, "\n-- ")
	if files != "" {
		files = "-- " + files
		if !strings.HasSuffix(files, "\n") {
			files += "\n"
		}
	}
	return headLines + topology + strings.TrimSpace(script) + "\n" + topologyFiles + files
}

// firstOwnLine is the line of the first of a test's own lines.
const firstOwnLine = 12

func mkScenario(t *testing.T, source string) *Scenario {
	t.Helper()
	sc, err := Parse("area/test.txtar", []byte(source))
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	return sc
}

func mkRun(t *testing.T, f *fake, lines string, opts ...Options) *Result {
	t.Helper()
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	return Run(context.Background(), mkScenario(t, mkSource(lines)), f, o)
}

func TestWordsDoWhatTheySay(t *testing.T) {
	tests := []struct{ name, script string }{
		{"a datagram between containers of a host stays off the wire", `
send c1 udp 10.1.0.10:40000 > 10.1.0.11:53 'hello' ttl=64 df tos=0x10 id=7
expect c2 udp 10.1.0.10:40000 > 10.1.0.11:53 'hello' ttl=64 df ip.tos=0x10 id=7 eth.src=02-00-00-00-00-01
wire none h1
drop none`},
		{"a datagram between hosts shows on both wires", `
send c1 udp > 10.1.0.20:53
wire h1 h2 udp > *:53
expect c3 udp`},
		{"the rx direction is what arrived", `
send c1 udp > 10.1.0.20:53
wire h2 rx udp 10.1.0.10 > 10.1.0.20:53
wire none h2 tx`},
		{"sent is what left the NIC", `
send c1 udp > 10.1.0.20:53
sent c1 udp
sent none c1`},
		{"variables are saved and used", `
send c1 udp 10.1.0.10:40123 > 10.1.0.20:53 'x'
expect c3 udp save=port:sport,from:ip.src,len:ip.len,mac:eth.src
send c3 udp 10.1.0.20:53 > $from:$port 'y'
expect c1 udp *:53 > *:$port eth.dst=$mac
echo $port ${from} $len
stdout '^40123 10.1.0.10 29$'`},
		{"addresses of roles and objects are variables", `
send c1 udp ${ip:c1}:1000 > ${ip:c3}:53
expect c3 eth ${mac:c1}>${mac:c3} udp ${ip:c1}:1000 > ${ip:c3}:53
echo ${id:n1} ${dr:n1} ${ip:h1} ${ip6:h1} ${mac:h1} ${ip6:c2}
stdout '^0{8}-.*-0{11}1 02-00-00-00-00-DD 10.0.0.1 fd00::1 02-00-00-00-00-A1 fd01::11$'`},
		{"segments carry flags and numbers", `
send c1 tcp 10.1.0.10:1 > 10.1.0.20:80 flags=SA seq=5 ack=0x10 'data'
expect c3 tcp flags=SA seq=5 ack=16 'data'
send c1 tcp 10.1.0.10:1 > 10.1.0.20:80 flags=R
expect c3 tcp flags=R+ size=* 
send c1 tcp 10.1.0.10:1 > 10.1.0.20:80 flags=R 'x'
expect none c3 tcp flags=S+`},
		{"echo requests have identifier and number", `
send c1 icmp > 10.1.0.20 echo id=7 seq=2 size=10 ip.id=9
expect c3 icmp 10.1.0.10 > 10.1.0.20 echo id=7 seq=2 size=10 ip.id=9`},
		{"icmp to an IPv6 address is ICMPv6", `
send c2 icmp > fd00::1 echo id=3
expect h1 icmp6 fd01::11 > fd00::1 echo id=3`},
		{"other protocols have no ports", `
send c1 proto=132 > 10.1.0.20 'sctp'
expect c3 ip 10.1.0.10 > 10.1.0.20 proto=132 'sctp'`},
		{"a series with steps has one port per packet", `
send c1 udp 10.1.0.10:2000 > 10.1.0.20:53 count=10 sport=+1
count c3 udp distinct=sport is=10 ordered=sport
count c3 udp is=0`},
		{"a burst is one stimulus of many packets", `
send c1 udp > 10.1.0.20:53 size=958 count=11 every=100ms
count wire h1 udp is=11 rate=9000-10000`},
		{"count looks at what was sent and dropped too", `
send c1 udp > 10.9.9.9:53 count=3
count sent c1 udp is=3
count drop c1 NoRoute min=3 max=3`},
		{"drops have a reason and a place", `
send c1 udp > 10.9.9.9:53 'lost'
drop h1 NoRoute udp 'lost'
send c1 udp > 10.9.9.9:53 count=2
drop c1 NoRoute count=2
drop none
drop none h1
drop none c1 NoRoute`},
		{"a raw frame leaves the NIC", `
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) ip(10.1.0.10>10.1.0.20 ttl=3) udp(1>2) 'it''s raw'
expect c3 udp 10.1.0.10:1 > 10.1.0.20:2 'it''s raw' ttl=3`},
		{"a raw frame comes from the wire", `
frame -wire h1 hex=@frame.hex
wire h1 rx arp who-has 10.0.0.1 tell 10.0.0.2
expect h1 arp op=request sha=02-00-00-00-00-A2 bytes=@frame.hex
-- frame.hex --
ffffffffffff 0200000000a2 0806           # Ethernet
0001 0800 0604 0001 0200000000a2 0a000002  # ARP
000000000000 0a000001`},
		{"bytes are compared but for the mask", `
send c1 udp 10.1.0.10:1 > 10.1.0.20:2 'x'
wire h1 bytes=020000000003020000000001080045000000ffff00008011ffff0a01000a0a0100140001000200090000ff mask=16:2,18:2,24:2,40:2,42:1`},
		{"address resolution is noise unless it is named", `
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) arp(who-has 10.1.0.20 tell 10.1.0.10)
expect none c3
wire none h1
expect c3 arp 10.1.0.10 > 10.1.0.20`},
		{"what was checked is out of sight", `
send c1 udp > 10.1.0.20:53
expect none c1
send c1 udp > 10.1.0.20:54
expect none c3 udp *>*:53
expect c3 udp > *:54`},
		{"acts in a row are one stimulus", `
send c1 udp > 10.1.0.20:53
advance 1s
send c1 udp > 10.1.0.20:54
expect c3 udp > *:54
expect c3 udp > *:53`},
		{"connections get answers", `
listen c3 tcp :80 reply='hello'
tcp c1 > 10.1.0.20:80 'GET' reply='hello' from=:4000 timeout=2s
stdout '^hello$'
listen c3 tcp :81
tcp c1 > 10.1.0.20:81 'echo' reply='echo'
! tcp c1 > 10.1.0.20:82
stderr refused
! tcp c1 > 10.9.9.9:80
stderr timeout`},
		{"ports can be held", `
bind h1 tcp :50005
! bind h1 tcp :50005
stderr 10013
! listen h1 tcp 10.0.0.1:50005
listen h1 udp :53 reply='dns'`},
		{"ping waits for the reply", `
ping c1 > 10.1.0.20 id=5 size=100 df ttl=9 timeout=1s
expect c3 icmp echo id=5
! ping c1 > 10.9.9.9
stderr timeout`},
		{"addresses resolve, or do not", `
arp c1 10.1.0.20
stdout 02-00-00-00-00-03
arp c1 10.1.0.20 is=02:00:00:00:00:03
arp c1 10.1.0.99 is=silence
! arp c1 10.1.0.99`},
		{"DHCP gives a lease", `
dhcp c1 lease=10.0.0.50
dhcp c1 lease=10.0.0.0/24
stdout 10.0.0.50`},
		{"settings reach the backend", `
set c1 port.spoofing on
set h1 nat.filtering udp=EndpointIndependent
set h1 hns.restart
link h1 delay=2ms loss=1% mtu=1400 rate=10M reorder=0.5
link h1 down
link h1 up`},
		{"the service refuses with a code and a place", `
! network h1 n9 bad.json
stderr '0x803B0013 .*HCN_E_PORT_ALREADY_EXISTS'
! stderr 0x803B0001
error 0x803B0013
error HCN_E_PORT_ALREADY_EXISTS 'Policies[0].Settings.ExternalPort'
network h1 n9 net.json
delete network n9
! query network n9
error 0x803B0001
-- bad.json --
{"Name":"refuse","Type":"NAT"}`},
		{"malformed documents go to the service behind !", `
! network h1 n9 bad.json
error HCN_E_INVALID_JSON
-- bad.json --
{"Name":`},
		{"documents are printed and compared", `
query endpoint c1 MacAddress
stdout '^02-00-00-00-00-01$'
query endpoint c1 IpConfigurations[0].IpAddress
stdout 10.1.0.10
query network n1 policies[type=DrMacAddress].Settings.Address
stdout DD
query network n1 Policies[len]
stdout '^1$'
query endpoint c2
match want.json
! match wrong.json
cmp stdout golden.txt
-- want.json --
{"name":"C2","ID":"${id:c2}","IpConfigurations":[{"IpAddress":"fd01::11","PrefixLength":"*"}]}
-- wrong.json --
{"IpConfigurations":[{"IpAddress":"fd01::11"},{"IpAddress":"10.1.0.11"}]}
-- golden.txt --
{
  "ID": "${id:c2}",
  "IpConfigurations": [
    {
      "IpAddress": "10.1.0.11",
      "PrefixLength": 24
    },
    {
      "IpAddress": "fd01::11",
      "PrefixLength": 64
    }
  ],
  "MacAddress": "02-00-00-00-00-02",
  "Name": "c2"
}
`},
		{"objects are listed by name", `
query endpoints h1
stdout '^c1$'
stdout count=1 n1
query networks h1`},
		{"policies, load balancers, routes and namespaces are programmed", `
policy add endpoint c1 acl.json
policy remove network n1 list.json
policy update endpoint c1 request.json
modify network n1 request.json
namespace h1 ns1
namespace h1 ns2 ns.json
loadbalancer h1 lb1 lb.json
route h1 rt1 route.json
query loadbalancer lb1
stdout FrontendVIPs
delete route rt1
-- acl.json --
{"Type":"ACL","Settings":{"Action":"Block"}}
-- list.json --
[{"Type":"ACL","Settings":{}}]
-- request.json --
{"RequestType":"Update","ResourceType":"Policy","Settings":{"Policies":[]}}
-- ns.json --
{"Type":"HostDefault"}
-- lb.json --
{"FrontendVIPs":["10.96.0.1"],"HostComputeEndpoints":["${id:c1}"]}
-- route.json --
{"Routes":[{"DestinationPrefix":"10.96.0.0/12","NextHop":"10.0.0.1","NeedEncap":true}]}`},
		{"v1 calls print their output and name it", `
hnscall h1 POST /networks/ v1.json as=network:v1
stdout '"ID": "V1-POST"'
echo ${id:v1}
stdout V1-POST
hnscall h1 GET /endpoints/
-- v1.json --
{"Type":"nat"}`},
		{"containers share, start, stop, attach and detach", `
container c9 shares c1
endpoint e1 n1 ep.json norole
endpoint e2 n1 ep.json noattach nostart isolation=hyperv
namespace h1 ns1
container c8 h1 endpoints=e1 ns=ns1 isolation=process
start e2
stop e2
attach e2
detach e2
attach e1 ns=ns1
detach e1 ns=ns1
send c8 udp > ${ip:c1}:9
expect c1 udp ${ip:c8} > *
-- ep.json --
{"Name":"e","MacAddress":"02-00-00-00-00-08","IpConfigurations":[{"IpAddress":"10.1.0.30","PrefixLength":24}]}`},
		{"remote endpoints and endpoints of the host are no containers", `
endpoint r1 n1 remote.json
namespace h1 hostns type=HostDefault
endpoint gw n1 gw.json ns=hostns
-- remote.json --
{"Name":"r","Flags":1,"IpConfigurations":[{"IpAddress":"10.1.0.40"}]}
-- gw.json --
{"Name":"gw","IpConfigurations":[{"IpAddress":"10.1.0.2"}]}`},
		{"views are shown, traces printed", `
show vfp h1 port 3
stdout '^view of vfp h1 port 3$'
trace c1 udp > 10.1.0.20:53
stdout 'rule 7 matches'`},
		{"conditions choose lines", `
[profile:ws2022] echo yes
stdout yes
[!profile:ws2022] echo no
[profile:>=ws2019] [feature:DSR] [capability:drops] [knob:vfpNatIdle=240] echo all
stdout all
[profile:ws2016] skip 'not here'
[profile:ws2022] end
expect c1`},
		{"a conditional line may make what another makes", `
[profile:ws2016] network h1 n9 net.json
[!profile:ws2016] network h1 n9 net.json
delete network n9`},
		{"tunnels are looked into", `
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) ip(10.0.0.1>10.0.0.2 ttl=128) udp(50000>4789 nocsum) vxlan(vni=4096) eth(02-00-00-00-00-0A>02-00-00-00-00-0B) ip(10.244.1.10>10.244.2.20 ttl=7) udp(40000>53) 'hello'
wire h1 h2 vxlan vni=4096 ip 10.0.0.1>10.0.0.2 udp.checksum=none inner eth 02-00-00-00-00-0A>* udp 10.244.1.10:40000 > 10.244.2.20:53 'hello' ttl=7
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) ip(10.0.0.1>10.0.0.2) udp(50000>8472) vxlan(vni=5000) eth(02-00-00-00-00-0A>broadcast) vlan(7) arp(who-has 10.1.1.1 tell 10.1.1.2)
expect c3 vxlan dport=8472 vni=5000 inner vlan=7 arp who-has 10.1.1.1
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) ip(10.0.0.1>10.0.0.2) nvgre(vsid=5001 flow=0x2a) eth(02-00-00-00-00-0A>broadcast) ip(10.1.1.1>10.1.1.2) icmp(echo id=1)
expect c3 nvgre vsid=5001 flow=42 inner icmp echo id=1`},
		{"ICMP errors quote a packet", `
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) ip(10.0.0.9>10.0.0.2) icmp(frag-needed mtu=1400) quote ip(10.0.0.2>10.0.0.9 df) udp(5000>53) 'abcdefgh'
expect c3 icmp frag-needed mtu=1400 quoted udp 10.0.0.2:5000 > 10.0.0.9:53 df`},
		{"other layers can be built and named", `
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) vlan(7 prio=3) ip(10.0.0.1>10.0.0.2 tos=8 id=3 mf off=0 proto=17) size(16)
expect c3 vlan=7 prio=3 ip mf offset=0 tos=8
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) ip6(fe80::1>ff02::1) nd(ra lifetime=1800 sll=02-00-00-00-00-01)
expect c3 nd ra lifetime=1800 sll=02-00-00-00-00-01 ttl=255
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) dhcp(discover xid=5)
expect c3 dhcp discover xid=5 chaddr=02-00-00-00-00-01 udp *:68 > *:67
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03 type=0x88b5) payload=hex:0102 pad(60)
expect c3 eth.type=0x88b5 untagged frame.len=60
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) ip(10.0.0.1>10.0.0.2) tcp(1>2 SA seq=1 ack=2 win=5 mss=1400)
expect c3 tcp flags=SA mss=1400 window=5
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) ip6(fd00::1>fd00::2) icmp6(too-big mtu=1280)
expect c3 icmp6 too-big mtu=1280
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) arp(reply 10.0.0.1 is-at 02-00-00-00-00-01 to 10.0.0.3)
expect c3 arp reply 10.0.0.1 is-at 02-00-00-00-00-01`},
		{"wrong checksums can be made and named", `
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) ip(10.0.0.1>10.0.0.2) udp(1>2 sum=1) 'x'
expect c3 udp checksum=bad
frame c1 eth(02-00-00-00-00-01>02-00-00-00-00-03) ip(10.0.0.1>10.0.0.2 badsum) udp(1>2) 'x'
expect c3 ip.checksum=bad`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			res := mkRun(t, &fake{}, test.script)
			if res.Status != Passed {
				t.Errorf("%s: %s\n%s\n%+v", res.Status, res.Reason, res.Log, res.Failure)
			}
		})
	}
}
