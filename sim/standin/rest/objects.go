package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
)

// collection is one kind of object as a path names it.
type collection struct {
	path string
	standin.Family
}

// collectionOf finds the kind that a path names: networks, routes and so on.
func collectionOf(r *http.Request) (collection, error) {
	for _, f := range standin.Families {
		path := strings.ToLower(strings.TrimPrefix(f.Plural, "Sdn"))
		if path == r.PathValue("kind") {
			return collection{path, f}, nil
		}
	}
	return collection{}, httpErrorf(http.StatusNotFound, "no kind of object %q: expected networks, endpoints, namespaces, loadbalancers or routes", r.PathValue("kind"))
}

// hostOf is the name of the host that a request is for, "" for the first one.
func hostOf(r *http.Request) string {
	if h := r.URL.Query().Get("host"); h != "" {
		return h
	}
	return r.Header.Get("Hnsim-Host")
}

// query makes the query document of the request's parameters. Parameters that
// have no meaning of their own are filter keys.
func query(values url.Values) ([]byte, error) {
	var q struct {
		SchemaVersion hcn.SchemaVersion
		Flags         int    `json:",omitempty"`
		Filter        string `json:",omitempty"`
	}
	q.SchemaVersion.Major = 2
	filter := map[string]string{}
	for name, list := range values {
		v := list[len(list)-1]
		switch name {
		case "host", "network":
		case "shape":
			if v != "v1" && v != "v2" {
				return nil, httpErrorf(http.StatusBadRequest, "shape is %q: expected v1 or v2", v)
			}
			if v == "v1" {
				q.SchemaVersion.Major = 1
			}
		case "detailed":
			if v != "true" && v != "false" {
				return nil, httpErrorf(http.StatusBadRequest, "detailed is %q: expected true or false", v)
			}
			if v == "true" {
				q.Flags = 1
			}
		case "filter":
			q.Filter = v
		default:
			if name == "" || name[0] < 'A' || name[0] > 'Z' {
				return nil, httpErrorf(http.StatusBadRequest, "no parameter %q: expected host, network, shape, detailed, filter, or a member of the documents such as Name", name)
			}
			filter[name] = v
		}
	}
	if len(filter) > 0 {
		if q.Filter != "" {
			return nil, httpErrorf(http.StatusBadRequest, "filter and single members exclude each other")
		}
		raw, err := json.Marshal(filter)
		if err != nil {
			return nil, err
		}
		q.Filter = string(raw)
	}
	return json.Marshal(q)
}

// do carries out an operation for a request.
func (s *Server) do(r *http.Request, op *standin.Operation) ([]byte, error) {
	op.Via, op.Host = "http", hostOf(r)
	return s.st.Do(op)
}

// document answers with a document of HNS.
func document(w http.ResponseWriter, status int, doc []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(bytes.Clone(doc), '\n'))
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	c, err := collectionOf(r)
	if err != nil {
		return err
	}
	q, err := query(r.URL.Query())
	if err != nil {
		return err
	}
	out, err := s.do(r, &standin.Operation{Function: "HcnEnumerate" + c.Plural, Args: []string{string(q)},
		Run: func(h *standin.Host) ([]byte, error) { return h.HNS.List(c.Kind, q) }})
	if err == nil {
		document(w, http.StatusOK, out)
	}
	return err
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) error {
	c, err := collectionOf(r)
	if err != nil {
		return err
	}
	q, err := query(r.URL.Query())
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	out, err := s.do(r, &standin.Operation{Function: "HcnQuery" + c.Name + "Properties", ID: id, Args: []string{string(q)},
		Run: func(h *standin.Host) ([]byte, error) { return h.HNS.Query(c.Kind, id, q) }})
	if err == nil {
		document(w, http.StatusOK, out)
	}
	return err
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) error {
	c, err := collectionOf(r)
	if err != nil {
		return err
	}
	return s.withBody(w, r, func(body []byte) error {
		op := &standin.Operation{Function: "HcnCreate" + c.Name, Args: []string{string(body)}}
		op.Run = func(h *standin.Host) (doc []byte, err error) {
			op.NewID, doc, err = h.HNS.Do(c.Kind, "create", "", r.URL.Query().Get("network"), body)
			return doc, err
		}
		out, err := s.do(r, op)
		if err != nil {
			return err
		}
		w.Header().Set("Location", "/v1/"+c.path+"/"+op.NewID)
		document(w, http.StatusCreated, out)
		return nil
	})
}

func (s *Server) modify(w http.ResponseWriter, r *http.Request) error {
	c, err := collectionOf(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	return s.withBody(w, r, func(body []byte) error {
		out, err := s.do(r, &standin.Operation{Function: "HcnModify" + c.Name, ID: id, Args: []string{string(body)},
			Run: func(h *standin.Host) ([]byte, error) {
				_, doc, err := h.HNS.Do(c.Kind, "modify", id, "", body)
				return doc, err
			}})
		if err == nil {
			document(w, http.StatusOK, out)
		}
		return err
	})
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request) error {
	c, err := collectionOf(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	_, err = s.do(r, &standin.Operation{Function: "HcnDelete" + c.Name, ID: id,
		Run: func(h *standin.Host) ([]byte, error) { return nil, h.HNS.Delete(c.Kind, id) }})
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// hnsCall is the v1 entry point with everything in the body.
func (s *Server) hnsCall(w http.ResponseWriter, r *http.Request) error {
	return s.withBody(w, r, func(body []byte) error {
		var call struct {
			Method, Path string
			Request      json.RawMessage
		}
		if err := decode(body, &call, `{"Method":"POST","Path":"/networks/","Request":{...}}`); err != nil {
			return err
		}
		request := []byte(call.Request)
		var text string
		if json.Unmarshal(request, &text) == nil { // the document as text, as the DLL gets it
			request = []byte(text)
		}
		return s.envelope(w, r, call.Method, call.Path, request)
	})
}

// hnsPath is the v1 entry point with the request's own method and path.
func (s *Server) hnsPath(w http.ResponseWriter, r *http.Request) error {
	return s.withBody(w, r, func(body []byte) error {
		return s.envelope(w, r, r.Method, "/"+r.PathValue("path"), body)
	})
}

func (s *Server) envelope(w http.ResponseWriter, r *http.Request, method, path string, body []byte) error {
	out, err := s.do(r, &standin.Operation{Function: "HNSCall", Args: []string{method, path, string(body)},
		Run: func(h *standin.Host) ([]byte, error) {
			out, err := h.HNS.HNSRequest(method, path, body)
			if err != nil {
				return nil, err
			}
			return hns.Envelope(out), nil
		}})
	if err == nil {
		document(w, http.StatusOK, out)
	}
	return err
}
