package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/standin"
)

// httpError is a refusal that HNS has no code for.
type httpError struct {
	status int
	msg    string
}

func (e *httpError) Error() string { return e.msg }

func httpErrorf(status int, format string, args ...any) error {
	return &httpError{status, fmt.Sprintf(format, args...)}
}

// statusCodes are the statuses of refusals; codes that are not here mean that
// the request is wrong.
var statusCodes = map[hcn.Code]int{
	hcn.ErrNetworkNotFound: http.StatusNotFound, hcn.ErrEndpointNotFound: http.StatusNotFound,
	hcn.ErrElementNotFound: http.StatusNotFound, hcn.ErrInvalidObjectID: http.StatusNotFound,
	hcn.ErrNetworkAlreadyExists: http.StatusConflict, hcn.ErrLayerAlreadyExists: http.StatusConflict,
	hcn.ErrPolicyAlreadyExists: http.StatusConflict, hcn.ErrPortAlreadyExists: http.StatusConflict,
	hcn.ErrEndpointAlreadyAttached: http.StatusConflict, hcn.ErrEndpointNamespaceExists: http.StatusConflict,
	hcn.ErrEntityHasReferences: http.StatusConflict, hcn.ErrGCNDefaultNamespaceExists: http.StatusConflict,
	hcn.ErrSharingViolation: http.StatusConflict, hcn.ErrDupName: http.StatusConflict,
	hcn.ErrAlreadyExists: http.StatusConflict, hcn.ErrObjectExists: http.StatusConflict,
	hcn.ErrNotImplemented: http.StatusNotImplemented, hcn.ErrFail: http.StatusInternalServerError,
	hcn.ErrUnknownInterface: http.StatusServiceUnavailable, hcn.ErrManagerStopped: http.StatusServiceUnavailable, hcn.ErrServerUnavail: http.StatusServiceUnavailable,
}

// refusal is the body of every answer that is not a success: what clients of
// HNS parse, and the code in the forms that people look for.
type refusal struct {
	Success   bool
	Error     string
	ErrorCode uint32 `json:",omitempty"`
	HResult   string `json:",omitempty"`
	Name      string `json:",omitempty"`
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, err error) {
	var own *httpError
	var tooLarge *http.MaxBytesError
	var body refusal
	status := http.StatusBadRequest
	switch {
	case errors.As(err, &own):
		status, body.Error = own.status, own.msg
	case errors.As(err, &tooLarge):
		status, body.Error = http.StatusRequestEntityTooLarge, tooLargeText(tooLarge.Limit)
	default:
		e := hcn.AsError(err)
		if known, ok := statusCodes[e.Code]; ok {
			status = known
		}
		_ = json.Unmarshal(e.ErrorRecord(), &body)
		body.HResult, body.Name = fmt.Sprintf("0x%08x", uint32(e.Code)), e.Code.Name()
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, body)
}

func tooLargeText(limit int64) string {
	return fmt.Sprintf("the body is longer than %d bytes, which is the most that is read", limit)
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		status = http.StatusInternalServerError
		b.Reset()
		fmt.Fprintf(&b, "{\"Success\":false,\"Error\":%q}\n", err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that has gone needs no answer
}

// withBody reads the body of a request and hands it to use. Its bytes count
// among those in flight until use returns.
func (s *Server) withBody(w http.ResponseWriter, r *http.Request, use func(body []byte) error) error {
	n := r.ContentLength
	if n > standin.MaxRequest {
		return httpErrorf(http.StatusRequestEntityTooLarge, "%s", tooLargeText(standin.MaxRequest))
	}
	if n < 0 {
		n = standin.MaxRequest
	}
	if err := s.st.Reserve(n); err != nil {
		return err
	}
	defer s.st.Release(n)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, standin.MaxRequest))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return err
	case err != nil:
		return httpErrorf(http.StatusBadRequest, "the body did not come: %v", err)
	case !utf8.Valid(body):
		return hcn.Errorf(hcn.ErrInvalidJSON, "the body is not UTF-8")
	}
	return use(body)
}

// decode reads a body of our own, which has no members but those of v.
func decode(body []byte, v any, example string) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil && dec.More() {
		err = errors.New("something follows the object")
	}
	if err != nil {
		return httpErrorf(http.StatusBadRequest, "%s: expected %s", strings.TrimPrefix(err.Error(), "json: "), example)
	}
	return nil
}
