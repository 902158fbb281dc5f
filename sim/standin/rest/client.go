package rest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hnsim/hnsim/sim/hns"
)

// Client asks a service about its hosts.
type Client struct {
	Addr, Token string
}

// get reads a document.
func (c *Client) get(path string, into any) error {
	req, err := http.NewRequest("GET", "http://"+c.Addr+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the server does not answer: is hnsim serve still running? %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the server at %s: GET %s: %s %s", c.Addr, path, resp.Status, text)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// Hosts lists the hosts of the service.
func (c *Client) Hosts() (list []Host, err error) {
	err = c.get("/v1/hosts", &list)
	return list, err
}

// Objects are the v2 documents of a host by kind.
func (c *Client) Objects(host string) (map[string][]json.RawMessage, error) {
	var state struct{ Hosts map[string]*hostState }
	if err := c.get("/v1/state", &state); err != nil {
		return nil, err
	}
	h := state.Hosts[host]
	if h == nil {
		return nil, fmt.Errorf("the server at %s has no host %q any more", c.Addr, host)
	}
	docs := map[string][]json.RawMessage{}
	for kind, s := range map[hns.Kind]shapes{
		hns.NetworkKind: h.Networks, hns.EndpointKind: h.Endpoints, hns.NamespaceKind: h.Namespaces,
		hns.LoadBalancerKind: h.LoadBalancers, hns.RouteKind: h.Routes,
	} {
		var list []json.RawMessage
		if err := json.Unmarshal(s.V2, &list); err != nil {
			return nil, fmt.Errorf("%ss of host %s: %w", kind, host, err)
		}
		docs[string(kind)] = list
	}
	return docs, nil
}
