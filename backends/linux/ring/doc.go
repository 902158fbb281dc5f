// Package ring puts frames on an interface at a rate and takes them from
// another, through rings of memory that are shared with the kernel (AF_PACKET
// with TPACKET_V2 for sending and TPACKET_V3 for receiving), so that neither
// side copies frames by system call.
//
// It knows interfaces by number, in the network namespace of the thread that
// opens it. It must not know worlds, roles or paths, nor what is in a frame:
// whoever sends marks frames, and whoever counts reads the marks.
package ring
