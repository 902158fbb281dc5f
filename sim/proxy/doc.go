// Package proxy is the L4Proxy policy: flows that an endpoint begins are sent
// to a proxy's address and port by VFP, at the endpoint's own port (rule PX-01).
//
// It knows addresses and VFP; it knows no documents, no load balancers and
// nothing of how the proxy is reached. The layer stands in front of all others
// on the way out, so that load balancing, ACLs and outbound NAT meet the proxy
// as the destination; what is answered bears the address that was asked for.
//
// The other kind of proxy, L4WFPPROXY, works inside the compartment (rule
// PX-03): no packet on any wire shows it, and it is no layer.
package proxy
