// Package standin serves the HNS of simulated hosts to unmodified Windows
// programs. Such a program runs under wine and loads computenetwork.dll and
// vmcompute.dll; the DLLs in the folder shim have the names and exports of
// the Windows ones and forward every call to a Server over loopback TCP.
//
// Calls are carried out one after another; an answer goes out when its change
// is durable (Config.Durable). Connections, the length of requests and the
// bytes of all requests under way are bounded, and who goes over a bound is
// told so.
//
// It knows the exported functions, their handles and HRESULTs (contract
// section A), and turns each into calls of hns.Service. It knows nothing of
// what is in a document, of packets, or of wine.
//
// # Two protocols on one port
//
// A connection that begins with a letter speaks HTTP and is handed to whom
// Config.HTTP names (the folder rest). All others speak the protocol of the
// DLLs.
//
// # Protocol of the DLLs
//
// Both directions carry frames: a length of four bytes and that many bytes of
// payload. Numbers are little-endian. A text is a length in bytes of four
// bytes and UTF-16 without terminator; length 0xFFFFFFFF is the NULL pointer,
// which is not the empty text.
//
// The first frame of a connection is the greeting, at most MaxGreeting bytes:
//
//	"HNS1"          4 bytes
//	session         8 bytes, chosen by the client's process
//	token           text
//	host            text; NULL or empty is the first host of the server
//
// The server answers with a response frame. A wrong token gets 0x80070005 and
// the connection ends. Then requests and responses alternate:
//
//	request                          response
//	handle     8 bytes               hresult    4 bytes
//	number     8 bytes               handle     8 bytes
//	guid       16 bytes              number     8 bytes
//	function   1 byte length, ASCII  texts      1 byte count, texts
//	texts      1 byte count, texts
//
// The GUID has the layout of Windows in memory: the first three groups are
// little-endian. The texts of a response are the result and the error record;
// the error record is NULL on success (rule A4). A frame that breaks these
// rules gets 0x80070057 with the reason, and the connection ends, because the
// position in the stream is lost.
//
// Handles belong to a session: a process may use several connections at once,
// and its handles go when its last connection has gone, as the handles of a
// process do. Leaked handles keep nothing alive (rule A8).
package standin
