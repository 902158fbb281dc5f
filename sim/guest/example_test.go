package guest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/guest"
	"github.com/hnsim/hnsim/sim/hns"
)

// A web server and its client in two containers on two hosts, which an overlay
// network joins. The documents are those that a CNI plugin sends to HNS.
func Example() {
	w, err := sim.New(sim.Config{Profile: "ws2022"})
	if err != nil {
		fmt.Println(err)
		return
	}
	pod1, err := pod(w, site1, site2)
	if err != nil {
		fmt.Println(err)
		return
	}
	pod2, err := pod(w, site2, site1)
	if err != nil {
		fmt.Println(err)
		return
	}

	// From here on the world runs by itself.
	run, guests, err := guest.Attach(w, pod1, pod2)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer run.Close()
	client, server := guests[0], guests[1]

	listener, err := server.Listen("tcp", ":80")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer listener.Close()
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "this is %s%s", r.Host, r.URL.Path)
	}))

	answer, err := client.HTTPClient().Get("http://10.244.2.10/index.html")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	fmt.Println(answer.Status, string(text), err)
	// Output: 200 OK this is 10.244.2.10/index.html <nil>
}

// site is a host with the subnet of its containers and the MAC address by which
// other hosts' overlay knows it.
type site struct{ host, addr, subnet, drMAC string }

var (
	site1 = site{"h1", "10.127.130.35", "10.244.1", "00-15-5D-D0-B3-B7"}
	site2 = site{"h2", "10.127.130.38", "10.244.2", "00-15-5D-6C-B8-EF"}
)

// pod adds a host with an overlay network and a container with the address .10
// on it.
func pod(w *sim.World, mine, peer site) (guest.Place, error) {
	h, err := w.AddHost(sim.HostConfig{Name: mine.host, Addrs: []netip.Prefix{netip.MustParsePrefix(mine.addr + "/24")}})
	if err != nil {
		return guest.Place{}, err
	}
	network, _, err := h.HNS.Do("network", "create", "", "", []byte(overlayDoc(mine, peer)))
	if err != nil {
		return guest.Place{}, err
	}
	endpoint, _, err := h.HNS.Do("endpoint", "create", "", network, []byte(`{
		"Name": "pod", "SchemaVersion": {"Major": 2, "Minor": 0},
		"IpConfigurations": [{"IpAddress": "`+mine.subnet+`.10"}],
		"Policies": [{"Type": "EncapOverhead", "Settings": {"Overhead": 50}}]}`)) // room for VXLAN: MTU 1450
	if err != nil {
		return guest.Place{}, err
	}
	namespace, _, err := h.HNS.Do("namespace", "create", "", "", []byte(`{"Type": "Host"}`))
	if err != nil {
		return guest.Place{}, err
	}
	if _, _, err := h.HNS.Do("namespace", "modify", namespace, "", []byte(
		`{"ResourceType": "Endpoint", "RequestType": "Add", "Settings": {"EndpointId": "`+endpoint+`"}}`)); err != nil {
		return guest.Place{}, err
	}
	return guest.Container(h, namespace), h.HNS.StartContainer(namespace, "pod", hns.ProcessIsolated)
}

// overlayDoc is a VXLAN network of one subnet per host.
func overlayDoc(mine, peer site) string {
	return fmt.Sprintf(`{"Name": "vx1", "Type": "Overlay", "SchemaVersion": {"Major": 2, "Minor": 0},
		"Ipams": [{"Type": "Static", "Subnets": [{"IpAddressPrefix": "%[1]s.0/24",
			"Policies": [{"Type": "VSID", "Settings": {"IsolationId": 4096}}],
			"Routes": [{"NextHop": "%[1]s.1", "DestinationPrefix": "0.0.0.0/0"}]}]}],
		"Policies": [{"Type": "DrMacAddress", "Settings": {"Address": %[2]q}},
			{"Type": "RemoteSubnetRoute", "Settings": {"DestinationPrefix": "%[3]s.0/24", "IsolationId": 4096,
				"ProviderAddress": %[4]q, "DistributedRouterMacAddress": %[5]q}}]}`,
		mine.subnet, mine.drMAC, peer.subnet, peer.addr, peer.drMAC)
}
