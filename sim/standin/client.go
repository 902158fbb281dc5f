package standin

import (
	"net"

	"github.com/hnsim/hnsim/sim/hcn"
)

// Client is one connection to a server, for Go programs that want what the
// DLLs do. It is for one goroutine at a time.
type Client struct{ conn net.Conn }

// Dial connects to the server at addr. Connections with the same session
// share their handles. host "" is the server's first host.
func Dial(addr, token, host string, session uint64) (*Client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &Client{conn}
	resp, err := c.exchange(appendGreeting(nil, greeting{session, Str(token), Str(host)}))
	if err == nil && resp.HResult != 0 {
		err = hcn.Errorf(hcn.Code(resp.HResult), "%s", resp.Texts[1].Value)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Call carries out a function. The error is one of the connection; the
// function's own failure is in the response.
func (c *Client) Call(r Request) (Response, error) {
	payload, err := appendRequest(nil, &r)
	if err != nil {
		return Response{}, err
	}
	return c.exchange(payload)
}

func (c *Client) exchange(payload []byte) (Response, error) {
	if err := writeFrame(c.conn, payload); err != nil {
		return Response{}, err
	}
	body, err := readFrame(c.conn, MaxResponse)
	if err != nil {
		return Response{}, err
	}
	return parseResponse(body)
}

// Close ends the connection; the session's handles go with its last one.
func (c *Client) Close() error { return c.conn.Close() }
