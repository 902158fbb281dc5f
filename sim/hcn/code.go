package hcn

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Code is an HRESULT of the service. 0 is success.
type Code uint32

// Codes of facility 0x3B, as numbered in contract section D.1.
const (
	ErrNetworkNotFound            Code = 0x803B0001
	ErrEndpointNotFound           Code = 0x803B0002
	ErrLayerNotFound              Code = 0x803B0003
	ErrSwitchNotFound             Code = 0x803B0004
	ErrSubnetNotFound             Code = 0x803B0005
	ErrAdapterNotFound            Code = 0x803B0006
	ErrPortNotFound               Code = 0x803B0007
	ErrPolicyNotFound             Code = 0x803B0008
	ErrVFPPortSettingNotFound     Code = 0x803B0009
	ErrInvalidNetwork             Code = 0x803B000A
	ErrInvalidNetworkType         Code = 0x803B000B
	ErrInvalidEndpoint            Code = 0x803B000C
	ErrInvalidPolicy              Code = 0x803B000D
	ErrInvalidPolicyType          Code = 0x803B000E
	ErrInvalidRemoteEndpointOp    Code = 0x803B000F
	ErrNetworkAlreadyExists       Code = 0x803B0010
	ErrLayerAlreadyExists         Code = 0x803B0011
	ErrPolicyAlreadyExists        Code = 0x803B0012
	ErrPortAlreadyExists          Code = 0x803B0013
	ErrEndpointAlreadyAttached    Code = 0x803B0014
	ErrRequestUnsupported         Code = 0x803B0015
	ErrMappingNotSupported        Code = 0x803B0016
	ErrDegradedOperation          Code = 0x803B0017
	ErrSharedSwitchModification   Code = 0x803B0018
	ErrGUIDConversionFailure      Code = 0x803B0019
	ErrRegkeyFailure              Code = 0x803B001A
	ErrInvalidJSON                Code = 0x803B001B
	ErrInvalidJSONReference       Code = 0x803B001C
	ErrEndpointSharingDisabled    Code = 0x803B001D
	ErrInvalidIP                  Code = 0x803B001E
	ErrSwitchExtensionNotFound    Code = 0x803B001F
	ErrManagerStopped             Code = 0x803B0020
	ErrGCNModuleNotFound          Code = 0x803B0021
	ErrGCNNoRequestHandlers       Code = 0x803B0022
	ErrGCNRequestUnsupported      Code = 0x803B0023
	ErrGCNRuntimeKeysFailed       Code = 0x803B0024
	ErrGCNNetAdapterTimeout       Code = 0x803B0025
	ErrGCNNetAdapterNotFound      Code = 0x803B0026
	ErrGCNNetCompartmentNotFound  Code = 0x803B0027
	ErrGCNNetInterfaceNotFound    Code = 0x803B0028
	ErrGCNDefaultNamespaceExists  Code = 0x803B0029
	ErrICSDisabled                Code = 0x803B002A
	ErrEndpointNamespaceExists    Code = 0x803B002B
	ErrEntityHasReferences        Code = 0x803B002C
	ErrInvalidInternalPort        Code = 0x803B002D
	ErrNamespaceAttachFailed      Code = 0x803B002E
	ErrAddrInvalidOrReserved      Code = 0x803B002F
	ErrInvalidPrefix              Code = 0x803B0030
	ErrObjectUsedAfterUnload      Code = 0x803B0031
	ErrInvalidSubnet              Code = 0x803B0032
	ErrInvalidIPSubnet            Code = 0x803B0033
	ErrEndpointNotAttached        Code = 0x803B0034
	ErrEndpointNotLocal           Code = 0x803B0035
	ErrInterfaceParametersApplied Code = 0x803B0036
	ErrVFPNotAllowed              Code = 0x803B0037
	facilityHCN                   Code = 0x803B0000
	facilityWin32                 Code = 0x80070000
)

// Win32 codes that the service answers, as HRESULTs.
const (
	ErrFail             Code = 0x80004005 // E_FAIL: a cause that is not ours to name
	ErrNotImplemented   Code = 0x80004001 // E_NOTIMPL
	ErrInvalidHandle    Code = 0x80070006
	ErrSharingViolation Code = 0x80070020 // host port in use (NAT-33)
	ErrDupName          Code = 0x80070034
	ErrInvalidParameter Code = 0x80070057
	ErrAlreadyExists    Code = 0x800700B7
	ErrElementNotFound  Code = 0x80070490
	ErrUnknownInterface Code = 0x800706B5 // the service is not running
	ErrServerUnavail    Code = 0x800706BA
	ErrInvalidObjectID  Code = 0x800710D8
	ErrObjectExists     Code = 0x80071392
)

// CodeInfo describes a code.
type CodeInfo struct {
	Code     Code
	Name     string // HCN_E_NETWORK_NOT_FOUND, ERROR_NOT_FOUND, ...
	Sentence string // as the system prints it, with the final period
}

var codeTable = []CodeInfo{
	{ErrNetworkNotFound, "HCN_E_NETWORK_NOT_FOUND", "The network was not found."},
	{ErrEndpointNotFound, "HCN_E_ENDPOINT_NOT_FOUND", "The endpoint was not found."},
	{ErrLayerNotFound, "HCN_E_LAYER_NOT_FOUND", "The network's underlying layer was not found."},
	{ErrSwitchNotFound, "HCN_E_SWITCH_NOT_FOUND", "The virtual switch was not found."},
	{ErrSubnetNotFound, "HCN_E_SUBNET_NOT_FOUND", "The network does not have a subnet for this endpoint."},
	{ErrAdapterNotFound, "HCN_E_ADAPTER_NOT_FOUND", "An adapter was not found."},
	{ErrPortNotFound, "HCN_E_PORT_NOT_FOUND", "The switch-port was not found."},
	{ErrPolicyNotFound, "HCN_E_POLICY_NOT_FOUND", "An expected policy was not found."},
	{ErrVFPPortSettingNotFound, "HCN_E_VFP_PORTSETTING_NOT_FOUND", "A required VFP port setting was not found."},
	{ErrInvalidNetwork, "HCN_E_INVALID_NETWORK", "The provided network configuration is invalid or missing parameters."},
	{ErrInvalidNetworkType, "HCN_E_INVALID_NETWORK_TYPE", "Invalid network type."},
	{ErrInvalidEndpoint, "HCN_E_INVALID_ENDPOINT", "The provided endpoint configuration is invalid or missing parameters."},
	{ErrInvalidPolicy, "HCN_E_INVALID_POLICY", "The provided policy configuration is invalid or missing parameters."},
	{ErrInvalidPolicyType, "HCN_E_INVALID_POLICY_TYPE", "Invalid policy type."},
	{ErrInvalidRemoteEndpointOp, "HCN_E_INVALID_REMOTE_ENDPOINT_OPERATION", "This requested operation is invalid for a remote endpoint."},
	{ErrNetworkAlreadyExists, "HCN_E_NETWORK_ALREADY_EXISTS", "A network with this name already exists."},
	{ErrLayerAlreadyExists, "HCN_E_LAYER_ALREADY_EXISTS", "A network with this name already exists."},
	{ErrPolicyAlreadyExists, "HCN_E_POLICY_ALREADY_EXISTS", "Policy information already exists on this object."},
	{ErrPortAlreadyExists, "HCN_E_PORT_ALREADY_EXISTS", "The specified port already exists."},
	{ErrEndpointAlreadyAttached, "HCN_E_ENDPOINT_ALREADY_ATTACHED", "This endpoint is already attached to the switch."},
	{ErrRequestUnsupported, "HCN_E_REQUEST_UNSUPPORTED", "The specified request is unsupported."},
	{ErrMappingNotSupported, "HCN_E_MAPPING_NOT_SUPPORTED", "Port mapping is not supported on the given network."},
	{ErrDegradedOperation, "HCN_E_DEGRADED_OPERATION", "There was an operation attempted on a degraded object."},
	{ErrSharedSwitchModification, "HCN_E_SHARED_SWITCH_MODIFICATION", "Cannot modify a switch shared by multiple networks."},
	{ErrGUIDConversionFailure, "HCN_E_GUID_CONVERSION_FAILURE", "Failed to interpret a parameter as a GUID."},
	{ErrRegkeyFailure, "HCN_E_REGKEY_FAILURE", "Failed to process registry key."},
	{ErrInvalidJSON, "HCN_E_INVALID_JSON", "Invalid JSON document string."},
	{ErrInvalidJSONReference, "HCN_E_INVALID_JSON_REFERENCE", "The reference is invalid in the JSON document."},
	{ErrEndpointSharingDisabled, "HCN_E_ENDPOINT_SHARING_DISABLED", "Endpoint sharing is disabled."},
	{ErrInvalidIP, "HCN_E_INVALID_IP", "IP address is either invalid or not part of any configured subnet(s)."},
	{ErrSwitchExtensionNotFound, "HCN_E_SWITCH_EXTENSION_NOT_FOUND", "The specified switch extension does not exist on this switch."},
	{ErrManagerStopped, "HCN_E_MANAGER_STOPPED", "Operation cannot be performed while service is stopping."},
	{ErrGCNModuleNotFound, "GCN_E_MODULE_NOT_FOUND", "Operation cannot be performed while service module not found."},
	{ErrGCNNoRequestHandlers, "GCN_E_NO_REQUEST_HANDLERS", "Request Handlers not present to handle the JSON request."},
	{ErrGCNRequestUnsupported, "GCN_E_REQUEST_UNSUPPORTED", "The specified request is unsupported."},
	{ErrGCNRuntimeKeysFailed, "GCN_E_RUNTIMEKEYS_FAILED", "Add runtime keys to container failed."},
	{ErrGCNNetAdapterTimeout, "GCN_E_NETADAPTER_TIMEOUT", "Timeout while waiting for network adapter with the given instance id."},
	{ErrGCNNetAdapterNotFound, "GCN_E_NETADAPTER_NOT_FOUND", "Network adapter not found for the given instance id."},
	{ErrGCNNetCompartmentNotFound, "GCN_E_NETCOMPARTMENT_NOT_FOUND", "Network compartment not found for the given id."},
	{ErrGCNNetInterfaceNotFound, "GCN_E_NETINTERFACE_NOT_FOUND", "Network interface not found for the given id."},
	{ErrGCNDefaultNamespaceExists, "GCN_E_DEFAULTNAMESPACE_EXISTS", "Default Namespace already exists."},
	{ErrICSDisabled, "HCN_E_ICS_DISABLED", "Internet Connection Sharing service (SharedAccess) is disabled and cannot be started."},
	{ErrEndpointNamespaceExists, "HCN_E_ENDPOINT_NAMESPACE_ALREADY_EXISTS", "This requested operation is invalid as endpoint is already part of a network namespace."},
	{ErrEntityHasReferences, "HCN_E_ENTITY_HAS_REFERENCES", "The specified entity cannot be removed while it still has references."},
	{ErrInvalidInternalPort, "HCN_E_INVALID_INTERNAL_PORT", "The internal port must exist and cannot be zero."},
	{ErrNamespaceAttachFailed, "HCN_E_NAMESPACE_ATTACH_FAILED", "The requested operation for attach namespace failed."},
	{ErrAddrInvalidOrReserved, "HCN_E_ADDR_INVALID_OR_RESERVED", "An address provided is invalid or reserved."},
	{ErrInvalidPrefix, "HCN_E_INVALID_PREFIX", "The prefix provided is invalid."},
	{ErrObjectUsedAfterUnload, "HCN_E_OBJECT_USED_AFTER_UNLOAD", "A call was performed against an object that was torn down."},
	{ErrInvalidSubnet, "HCN_E_INVALID_SUBNET", "The provided subnet configuration is invalid or missing parameters."},
	{ErrInvalidIPSubnet, "HCN_E_INVALID_IP_SUBNET", "The provided IP subnet configuration is invalid or missing parameters."},
	{ErrEndpointNotAttached, "HCN_E_ENDPOINT_NOT_ATTACHED", "The endpoint must be attached to complete the operation."},
	{ErrEndpointNotLocal, "HCN_E_ENDPOINT_NOT_LOCAL", "The endpoint must be local to complete the operation."},
	{ErrInterfaceParametersApplied, "HCN_INTERFACEPARAMETERS_ALREADY_APPLIED", "Cannot apply more than one InterfaceParameters policy."},
	{ErrVFPNotAllowed, "HCN_E_VFP_NOT_ALLOWED", "A network of this type can not be created because VFP is not available."},

	{ErrNotImplemented, "E_NOTIMPL", "Not implemented."},
	{ErrFail, "E_FAIL", "Unspecified error."},
	{ErrInvalidHandle, "ERROR_INVALID_HANDLE", "The handle is invalid."},
	{ErrSharingViolation, "ERROR_SHARING_VIOLATION", "The process cannot access the file because it is being used by another process."},
	{ErrDupName, "ERROR_DUP_NAME", "You were not connected because a duplicate name exists on the network."},
	{ErrInvalidParameter, "ERROR_INVALID_PARAMETER", "The parameter is incorrect."},
	{ErrAlreadyExists, "ERROR_ALREADY_EXISTS", "Cannot create a file when that file already exists."},
	{ErrElementNotFound, "ERROR_NOT_FOUND", "Element not found."},
	{ErrUnknownInterface, "RPC_S_UNKNOWN_IF", "The interface is unknown."},
	{ErrServerUnavail, "RPC_S_SERVER_UNAVAILABLE", "The RPC server is unavailable."},
	{ErrInvalidObjectID, "ERROR_OBJECT_NOT_FOUND", "The object identifier does not represent a valid object."},
	{ErrObjectExists, "ERROR_OBJECT_ALREADY_EXISTS", "The object already exists."},
}

var codeByValue = func() map[Code]*CodeInfo {
	m := make(map[Code]*CodeInfo, len(codeTable))
	for i := range codeTable {
		m[codeTable[i].Code] = &codeTable[i]
	}
	return m
}()

// Codes lists every code that the service answers, in numerical order.
func Codes() []CodeInfo {
	out := append([]CodeInfo(nil), codeTable...)
	sort.Slice(out, func(i, j int) bool { return out[i].Code < out[j].Code })
	return out
}

// Info returns what is known about the code.
func (c Code) Info() (CodeInfo, bool) {
	if i, ok := codeByValue[c]; ok {
		return *i, true
	}
	return CodeInfo{Code: c}, false
}

// Name is the code's name, or its hexadecimal form when it has none.
func (c Code) Name() string {
	if i, ok := codeByValue[c]; ok {
		return i.Name
	}
	return c.Hex()
}

// Hex is the form in which hcsshim prints a code: 0x803b0013. Codes of the
// Win32 facility are cut to their low 16 bits there, as drivers search for
// "0xb7" and "0x6b5" (section D.4).
func (c Code) Hex() string {
	if c&0xFFFF0000 == facilityWin32 {
		return fmt.Sprintf("0x%x", uint32(c&0xFFFF))
	}
	return fmt.Sprintf("0x%08x", uint32(c))
}

// String is the name with the hexadecimal form.
func (c Code) String() string {
	if c == 0 {
		return "S_OK"
	}
	if n := c.Name(); n != c.Hex() {
		return n + " (" + c.Hex() + ")"
	}
	return c.Hex()
}

// Sentence is the system's text for the code, with its final period.
func (c Code) Sentence() string {
	if i, ok := codeByValue[c]; ok {
		return i.Sentence
	}
	return "Unknown error."
}

// Error lets a Code be the target of errors.Is.
func (c Code) Error() string { return c.String() + ": " + c.Sentence() }

// ParseCode reads a code from its name (with or without HCN_E_, in any case),
// from 0x803b0013, from 0x13 or 0xb7 (a Win32 code), or from decimal.
func ParseCode(text string) (Code, error) {
	t := strings.TrimSpace(text)
	if i := strings.IndexByte(t, ' '); i > 0 {
		t = t[:i] // "HCN_E_INVALID_POLICY (0x803b000d)"
	}
	up := strings.ToUpper(t)
	for _, c := range codeTable {
		if up == c.Name || "HCN_E_"+up == c.Name || "ERROR_"+up == c.Name {
			return c.Code, nil
		}
	}
	n, err := strconv.ParseUint(t, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no error code: expected a name such as HCN_E_INVALID_POLICY, or a number such as 0x803b000d%s", text, suggest(up, codeNames()))
	}
	c := Code(n)
	if c != 0 && c < 0x10000 {
		c |= facilityWin32
	}
	return c, nil
}

func codeNames() []string {
	names := make([]string, len(codeTable))
	for i, c := range codeTable {
		names[i] = c.Name
	}
	return names
}
