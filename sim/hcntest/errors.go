package hcntest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
)

// ErrorCode is what hcsshim makes of an HRESULT: codes of the Win32 facility
// are cut to their low 16 bits, all others stay whole (rule A9). It is an
// error, so that errors.Is(err, HCN_E_PORT_ALREADY_EXISTS) works.
type ErrorCode uint32

// The codes that hcsshim names, and others that drivers tell apart. Every code
// of HNS may occur: ErrorCode(0x803b0010) is as good as a name.
const (
	ERROR_NOT_FOUND           ErrorCode = 0x490
	ERROR_ALREADY_EXISTS      ErrorCode = 0xB7
	ERROR_OBJECT_EXISTS       ErrorCode = 0x1392
	RPC_S_UNKNOWN_IF          ErrorCode = 0x6B5 // HNS is not running
	HCN_E_NOTIMPL             ErrorCode = 0x80004001
	HCN_E_NETWORK_NOT_FOUND   ErrorCode = 0x803B0001
	HCN_E_ENDPOINT_NOT_FOUND  ErrorCode = 0x803B0002
	HCN_E_NETWORK_EXISTS      ErrorCode = 0x803B0010
	HCN_E_PORT_ALREADY_EXISTS ErrorCode = 0x803B0013
)

// hresult undoes the cut.
func (c ErrorCode) hresult() hcn.Code {
	if c != 0 && c < 0x10000 {
		return hcn.Code(0x80070000 | uint32(c))
	}
	return hcn.Code(c)
}

func errorCode(c hcn.Code) ErrorCode {
	if c&0xFFFF0000 == 0x80070000 {
		c &= 0xFFFF
	}
	return ErrorCode(c)
}

// Error is the code's name, its number and the sentence of Windows.
func (c ErrorCode) Error() string { return c.hresult().Error() }

// HcnError is a refusal of HNS. Its text is that of hcsshim's HcnError, which
// some drivers search.
type HcnError struct {
	Function string // "hcnCreateEndpoint"
	Code     ErrorCode
	// Record is the error record: JSON with the sentence, the place in the
	// document, what was found there and what is expected.
	Record string
}

// Error is "hcnCreateEndpoint failed in Win32: The specified port already
// exists. (0x803b0013) {...}".
func (e *HcnError) Error() string {
	s := fmt.Sprintf("%s failed in Win32: %s (0x%x)", e.Function, e.Code.hresult().Sentence(), uint32(e.Code))
	if e.Record != "" {
		s += " " + e.Record
	}
	return s
}

// Is compares codes: errors.Is(err, hcntest.ErrorCode(0x803b0013)).
func (e *HcnError) Is(target error) bool {
	c, ok := target.(ErrorCode)
	return ok && c == e.Code
}

// refused makes what a call of a function returns from an error of the service.
func refused(function string, err error) error {
	if err == nil {
		return nil
	}
	e := hcn.AsError(err)
	return &HcnError{Function: function, Code: errorCode(e.Code), Record: string(e.ErrorRecord())}
}

// CheckErrorWithCode reports whether HNS answered with a code.
func CheckErrorWithCode(err error, code ErrorCode) bool {
	var e *HcnError
	return errors.As(err, &e) && e.Code == code
}

// IsElementNotFoundError reports the answer "Element not found." (0x490).
func IsElementNotFoundError(err error) bool { return CheckErrorWithCode(err, ERROR_NOT_FOUND) }

// IsPortAlreadyExistsError reports the answer 0x803b0013.
func IsPortAlreadyExistsError(err error) bool {
	return CheckErrorWithCode(err, HCN_E_PORT_ALREADY_EXISTS)
}

// IsNotImplemented reports the answer E_NOTIMPL.
func IsNotImplemented(err error) bool { return CheckErrorWithCode(err, HCN_E_NOTIMPL) }

// IsNotFoundError reports that a search found nothing, or that HNS answered
// "Element not found.". As in hcsshim it does not cover HCN_E_NETWORK_NOT_FOUND
// and HCN_E_ENDPOINT_NOT_FOUND, which deletions of unknown objects get.
func IsNotFoundError(err error) bool {
	if IsElementNotFoundError(err) {
		return true
	}
	var (
		network   NetworkNotFoundError
		endpoint  EndpointNotFoundError
		namespace NamespaceNotFoundError
		balancer  LoadBalancerNotFoundError
		route     RouteNotFoundError
	)
	return errors.As(err, &network) || errors.As(err, &endpoint) || errors.As(err, &namespace) ||
		errors.As(err, &balancer) || errors.As(err, &route)
}

// NetworkNotFoundError is the result of a search for a network.
type NetworkNotFoundError struct {
	NetworkName string
	NetworkID   string
}

func (e NetworkNotFoundError) Error() string {
	if e.NetworkName != "" {
		return fmt.Sprintf("Network name %q not found", e.NetworkName)
	}
	return fmt.Sprintf("Network ID %q not found", e.NetworkID)
}

// EndpointNotFoundError is the result of a search for an endpoint.
type EndpointNotFoundError struct {
	EndpointName string
	EndpointID   string
}

func (e EndpointNotFoundError) Error() string {
	if e.EndpointName != "" {
		return fmt.Sprintf("Endpoint name %q not found", e.EndpointName)
	}
	return fmt.Sprintf("Endpoint ID %q not found", e.EndpointID)
}

// NamespaceNotFoundError is the result of a search for a namespace.
type NamespaceNotFoundError struct {
	NamespaceID string
}

func (e NamespaceNotFoundError) Error() string {
	return fmt.Sprintf("Namespace ID %q not found", e.NamespaceID)
}

// LoadBalancerNotFoundError is the result of a search for a load balancer.
type LoadBalancerNotFoundError struct {
	LoadBalancerId string
}

func (e LoadBalancerNotFoundError) Error() string {
	return fmt.Sprintf("LoadBalancer %q not found", e.LoadBalancerId)
}

// RouteNotFoundError is the result of a search for a route object.
type RouteNotFoundError struct {
	RouteId string
}

func (e RouteNotFoundError) Error() string {
	return fmt.Sprintf("SDN Route %q not found", e.RouteId)
}

// UnreachableError is why a packet of a Pod got no answer.
type UnreachableError struct {
	From, To string // "10.244.1.2", "tcp 10.244.2.20:80"
	Reason   string // "timeout", "refused", "icmp type 3 code 1 from 10.244.1.1"
	Drops    []Drop // what was dropped meanwhile, in order
	// Last is where the last packet came to that went to one machine, and why
	// it was not answered if that is known; "" when none came anywhere.
	Last string
}

func (e *UnreachableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s does not reach %s: %s", e.From, e.To, e.Reason)
	for _, d := range e.Drops {
		fmt.Fprintf(&b, "\n  dropped at %s: %s\n    %s", d.Where, d.Reason, d.Packet)
	}
	if e.Last != "" {
		fmt.Fprintf(&b, "\n  last received by %s", e.Last)
	}
	return b.String()
}
