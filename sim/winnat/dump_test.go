package winnat

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

func TestDumpShowsMappingsSessionsAndCounters(t *testing.T) {
	l := newLab(t, func(c *Config) {
		m := mapTo(wire.ProtoUDP, 53, "cn2:5353")
		m.VIP = place("h1b")
		c.Static = []StaticMapping{publish8080, m}
		c.LoopbackPublish = true
	})
	l.run(`
		0s  out  tcp cn1:49700>x:443 S   -> tcp h1:50001>x:443 S
		1s  in   tcp x:443>h1:50001 SA   -> tcp x:443>cn1:49700 SA
		1s  out  tcp cn1:49700>x:443 A   -> tcp h1:50001>x:443 A
		2s  out  udp cn2:5000>x2:53      -> udp h1:50001>x2:53
		2s  out  udp cn2:5000>x:53       -> udp h1:50001>x:53
		3s  out  echo cn1:7>x            -> echo h1:50001>x
		4s  in   tcp x2:9>h1:8080 S      -> tcp x2:9>cn1:80 S
		5s  host tcp lo:9>lo:8080 S      -> tcp gw:9>cn1:80 S
		5s  back tcp cn1:80>gw:9 SA      -> to host tcp lo:8080>lo:9 SA
		6s  back tcp cn2:9>h1:8080 S     -> tcp h1:50002>cn1:80 S
		7s  in   udp 10.1.2.3:1>h1:50001 -> drop NatFiltered
		7s  out  sctp cn1>x              -> drop NatUnsupportedProto`)
	const want = `mapping EIM, filtering tcp AddressDependent, udp AddressDependent, hairpin strict
mappings:
  icmp 172.16.0.10:7         <-> 10.127.130.35:50001   dynamic, 1 sessions, 23s left
  tcp  172.16.0.10:80        <-> *:8080                static, 3 sessions
  tcp  172.16.0.10:49700     <-> 10.127.130.35:50001   dynamic, 1 sessions, 29m51s left
  tcp  172.16.0.11:9         <-> 10.127.130.35:50002   dynamic, 1 sessions, 1m56s left
  udp  172.16.0.11:5353      <-> 10.127.130.36:53      static, 0 sessions
  udp  172.16.0.11:5000      <-> 10.127.130.35:50001   dynamic, 2 sessions, 1m52s left
sessions:
  icmp 172.16.0.10:7         10.127.130.35:50001   > 203.0.113.80:0        dynamic - 23s left
  tcp  172.16.0.10:80        10.127.130.35:8080    > 10.127.130.35:50002   static init 1m56s left
  tcp  172.16.0.10:80        10.127.130.35:8080    > 198.51.100.9:9        static init 1m54s left
  tcp  172.16.0.10:49700     10.127.130.35:50001   > 203.0.113.80:443      dynamic established 29m51s left
  tcp  172.16.0.11:9         10.127.130.35:50002   > 10.127.130.35:8080    dynamic init 1m56s left
  tcp  172.16.0.10:80        127.0.0.1:8080        > 127.0.0.1:9           host init 1m55s left
  udp  172.16.0.11:5000      10.127.130.35:50001   > 198.51.100.9:53       dynamic - 1m52s left
  udp  172.16.0.11:5000      10.127.130.35:50001   > 203.0.113.80:53       dynamic - 1m52s left
packets: out 5, in 2, hairpin 1, from host 1, to host 1, queued 0, released 0
drop NatUnsupportedProto: 1
drop NatFiltered: 1
`
	var got bytes.Buffer
	if err := l.n.Dump(&got, int64(seconds(10))); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	u := l.n.Usage(int64(seconds(10)))
	if u.TCP != (ProtoUsage{2, 5, 100}) || u.UDP != (ProtoUsage{1, 2, 100}) || u.ICMP != (ProtoUsage{1, 1, 100}) {
		t.Errorf("%+v", u)
	}
}

func TestDumpOfDestinationDependentMappings(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Mapping = MapAddressAndPort })
	l.run(`
		0s out udp cn1:5000>x:53  -> udp h1:50001>x:53
		0s out udp cn1:5000>x:54  -> udp h1:50002>x:54`)
	var text bytes.Buffer
	l.n.Dump(&text, 0)
	if want := "10.127.130.35:50002   dynamic for 203.0.113.80:54, 1 sessions"; !strings.Contains(text.String(), want) {
		t.Errorf("%q is not in\n%s", want, text.String())
	}
	m := l.n.Mappings(0)
	if len(m) != 2 || m[0].Remote.String() != "203.0.113.80:53" || m[1].Remote.String() != "203.0.113.80:54" {
		t.Errorf("%+v", m)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestDumpReportsWriteErrors(t *testing.T) {
	if err := newLab(t, nil).n.Dump(brokenWriter{}, 0); err == nil {
		t.Error("no error")
	}
}

func TestNamesOfSettings(t *testing.T) {
	for got, want := range map[string]string{
		FilterAddress.String(): "AddressDependent", FilterEndpointIndependent.String(): "EndpointIndependent", Filtering(9).String(): "unknown",
		MapAddressAndPort.String(): "APDM", HairpinDrop.String(): "drop", NotMine.String(): "not mine", Queued.String(): "queued",
		publish8080.String(): "tcp *:8080 -> 172.16.0.10:80", mapTo(132, 1, "cn1:2").String(): "proto132 *:1 -> 172.16.0.10:2",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
