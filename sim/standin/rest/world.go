package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
)

// shapes are the two forms in which /v1/state shows an object.
type shapes struct {
	V2 json.RawMessage `json:"v2"`
	V1 json.RawMessage `json:"v1"`
}

// hostState is a host in /v1/state: its objects by collection.
type hostState struct {
	Generation    uint64 `json:"generation"`
	Networks      shapes `json:"networks"`
	Endpoints     shapes `json:"endpoints"`
	Namespaces    shapes `json:"namespaces"`
	LoadBalancers shapes `json:"loadbalancers"`
	Routes        shapes `json:"routes"`
}

func (s *Server) state(w http.ResponseWriter, r *http.Request) error {
	var out struct {
		Now   string                `json:"now"`
		Hosts map[string]*hostState `json:"hosts"`
	}
	out.Hosts = map[string]*hostState{}
	_, err := s.do(r, &standin.Operation{Function: "state", Run: func(*standin.Host) ([]byte, error) {
		out.Now = s.now().String()
		for _, h := range s.st.Hosts() {
			hs, err := stateOf(h.HNS)
			if err != nil {
				return nil, fmt.Errorf("host %s: %w", h.Name, err)
			}
			out.Hosts[h.Name] = hs
		}
		return nil, nil
	}})
	if err == nil {
		writeJSON(w, http.StatusOK, out)
	}
	return err
}

func stateOf(service *hns.Service) (*hostState, error) {
	hs := &hostState{Generation: service.State().Generation}
	for kind, to := range map[hns.Kind]*shapes{
		hns.NetworkKind: &hs.Networks, hns.EndpointKind: &hs.Endpoints, hns.NamespaceKind: &hs.Namespaces,
		hns.LoadBalancerKind: &hs.LoadBalancers, hns.RouteKind: &hs.Routes,
	} {
		var err error
		if to.V2, err = service.List(kind, nil); err != nil {
			return nil, err
		}
		if to.V1, err = service.List(kind, []byte(`{"SchemaVersion":{"Major":1}}`)); err != nil {
			return nil, err
		}
	}
	return hs, nil
}

// Host is a host in /v1/hosts.
type Host struct {
	Name    string   `json:"name"`
	Adapter string   `json:"adapter"`
	MAC     string   `json:"mac"`
	Addrs   []string `json:"addresses"` // of the host's own compartment
	Profile string   `json:"profile"`
	HNS     string   `json:"hns"`
	OSBuild int      `json:"osBuild"`
	// Interfaces are what programs of the host see.
	Interfaces []sim.Interface `json:"interfaces"`
}

func (s *Server) hosts(w http.ResponseWriter, _ *http.Request) error {
	list := []Host{}
	p := s.cfg.World.Profile
	s.st.Look(func() {
		for _, h := range s.cfg.World.Hosts() {
			nic := h.NIC("")
			out := Host{Name: h.Name(), Adapter: nic.Name(), MAC: nic.MAC().String(), Addrs: []string{},
				Profile: p.Name, HNS: p.Version.String(), OSBuild: int(p.OSBuild), Interfaces: h.Interfaces()}
			for _, i := range out.Interfaces {
				for _, a := range i.Addrs {
					out.Addrs = append(out.Addrs, a.String())
				}
			}
			list = append(list, out)
		}
	})
	writeJSON(w, http.StatusOK, list)
	return nil
}

// onHost runs what changes a host as a whole.
func (s *Server) onHost(w http.ResponseWriter, r *http.Request, function string, run func(h *sim.Host) error) error {
	h := s.cfg.World.Host(r.PathValue("name"))
	if h == nil {
		return httpErrorf(http.StatusNotFound, "no host %q", r.PathValue("name"))
	}
	_, err := s.st.Do(&standin.Operation{Via: "http", Host: h.Name(), Function: function,
		Run: func(*standin.Host) ([]byte, error) { return nil, run(h) }})
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (s *Server) stop(w http.ResponseWriter, r *http.Request) error {
	return s.onHost(w, r, "stop", func(h *sim.Host) error {
		h.HNS.Stop()
		return nil
	})
}

func (s *Server) start(w http.ResponseWriter, r *http.Request) error {
	return s.onHost(w, r, "start", func(h *sim.Host) error {
		if h.HNS.Running() {
			return httpErrorf(http.StatusConflict, "the HNS of host %s is running", h.Name())
		}
		return h.HNS.Start()
	})
}

func (s *Server) restart(w http.ResponseWriter, r *http.Request) error {
	return s.onHost(w, r, "restart", func(h *sim.Host) error { return h.HNS.Restart() })
}

func (s *Server) reboot(w http.ResponseWriter, r *http.Request) error {
	return s.onHost(w, r, "reboot", (*sim.Host).Reboot)
}

// now is the virtual time. The stand-in's lock is held.
func (s *Server) now() time.Duration { return time.Duration(s.cfg.World.Loop().Now()) }

// clockDoc is the virtual time in both forms.
type clockDoc struct {
	Now         string `json:"now"`
	Nanoseconds int64  `json:"nanoseconds"`
}

func (s *Server) clock(w http.ResponseWriter, r *http.Request) error {
	var now time.Duration
	_, err := s.do(r, &standin.Operation{Function: "clock", Run: func(*standin.Host) ([]byte, error) {
		now = s.now()
		return nil, nil
	}})
	if err == nil {
		writeJSON(w, http.StatusOK, clockDoc{now.String(), int64(now)})
	}
	return err
}

// maxAdvance is how far one request may move the clock.
const maxAdvance = 30 * 24 * time.Hour

func (s *Server) advance(w http.ResponseWriter, r *http.Request) error {
	return s.withBody(w, r, func(body []byte) error {
		var req struct {
			Duration string `json:"duration"`
		}
		const example = `{"duration":"241s"}`
		if err := decode(body, &req, example); err != nil {
			return err
		}
		d, err := time.ParseDuration(req.Duration)
		if err != nil || d < 0 || d > maxAdvance {
			return httpErrorf(http.StatusBadRequest, "duration is %q: expected a time from 0s to %v, as in %s", req.Duration, maxAdvance, example)
		}
		var now time.Duration
		_, err = s.do(r, &standin.Operation{Function: "advance", Args: []string{req.Duration}, Run: func(*standin.Host) ([]byte, error) {
			err := s.cfg.World.Loop().Advance(d)
			now = s.now()
			return nil, err
		}})
		if err == nil {
			writeJSON(w, http.StatusOK, clockDoc{now.String(), int64(now)})
		}
		return err
	})
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	if s.cfg.Healthy != nil {
		if err := s.cfg.Healthy(); err != nil {
			return httpErrorf(http.StatusServiceUnavailable, "%v", err)
		}
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// heartbeat keeps proxies from ending a stream without events.
const heartbeat = 15 * time.Second

// events streams the notifications of a host as they come.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	sub, err := s.st.Subscribe(hostOf(r))
	if err != nil {
		return err
	}
	defer sub.Cancel()
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the client has nothing more to say
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	text := ": listening\n\n"
	for {
		_ = out.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := fmt.Fprint(w, text); err != nil || out.Flush() != nil {
			return nil // the client has gone
		}
		select {
		case n := <-sub.C:
			text = fmt.Sprintf("event: %s\ndata: {\"type\":%d,\"data\":%s}\n\n", n.Type, uint32(n.Type), n.Data)
		case <-tick.C:
			text = ": still here\n\n"
		case <-sub.Closed:
			return nil
		case <-s.in.closed:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}
