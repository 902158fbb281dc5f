package hcn

// AttachRequest is the body of POST /endpoints/{id}/attach and detach.
type AttachRequest struct {
	ContainerID    string `json:"ContainerId,omitempty"`
	SystemType     string `json:""`
	CompartmentID  uint32 `json:"CompartmentId,omitempty"`
	VirtualNicName string `json:",omitempty"`
	Extras         Extras `json:"-"`
}

// DecodeAttachRequest reads an attach or detach request.
func DecodeAttachRequest(data []byte) (*AttachRequest, error) {
	out := new(AttachRequest)
	if err := decodeDocument(data, out); err != nil {
		return nil, err
	}
	return out, nil
}

// DecodeNamespaceResource reads the body of POST
// /namespaces/{id}/addresource and removeresource.
func DecodeNamespaceResource(data []byte) (*NamespaceResource, error) {
	out := new(NamespaceResource)
	if err := decodeDocument(data, out); err != nil {
		return nil, err
	}
	return out, nil
}

// DecodeExtensions reads the member Extensions of a v1 network document.
func DecodeExtensions(data []byte) ([]ExtensionRequest, error) {
	var doc struct {
		Extensions []ExtensionRequest
	}
	if err := decodeDocument(data, &doc); err != nil {
		return nil, err
	}
	return doc.Extensions, nil
}

// accelnetList is the body of POST /accelnet/.
type accelnetList struct {
	MacAddressList []struct {
		MacAddress string `json:",omitempty"`
	} `json:",omitempty"`
}

// DecodeAccelnet reads the MAC addresses of POST /accelnet/.
func DecodeAccelnet(data []byte) ([]string, error) {
	var doc accelnetList
	if err := decodeDocument(data, &doc); err != nil {
		return nil, err
	}
	var out []string
	for i, m := range doc.MacAddressList {
		if _, err := ParseMAC(m.MacAddress); err != nil {
			c := &checker{}
			c.mac(ErrInvalidParameter, elem("MacAddressList", i)+".MacAddress", m.MacAddress)
			return nil, c.first()
		}
		out = append(out, m.MacAddress)
	}
	return out, nil
}
