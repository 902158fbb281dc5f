// Package statefile keeps the state of a stand-in in one file, so that a crash
// at any moment loses nothing that was acknowledged. It knows records, their
// order and their checksums; what is in a record is the business of sim/hns.
//
// # Format
//
// A state file is text, one record a line:
//
//	hnsim-state 1
//	6f1d9a3c 51 {"seq":0,"durable":0,"meta":{"profile":"ws2025"},"whole":1}
//	0b64c1e2 978 {"seq":1,"durable":0,"host":"h1","delta":{...}}
//
// The first line is the format and its version, which counts incompatible
// changes of the deltas too. A record is the CRC-32C of its
// JSON in eight hexadecimal digits, the length of the JSON in bytes, and the
// JSON, which has no line break. seq counts the records; record 0 has the meta
// data of the world. The deltas of a host, in order, give its state
// (hns.Stored). durable is the last record that was known to be on the disk
// when this one was written.
//
// # Writing
//
// A new file is written under a name of its own, synced, renamed into place,
// and the folder is synced. Changes are appended; Sync returns when all of
// them are on the disk, and one sync serves everybody who waits. When the
// appended records outweigh what the file began with, Rewrite replaces it in
// the same way as a new one.
//
// # Reading
//
// A crash may leave the last records in pieces, in any order of their blocks.
// A broken record is therefore the torn end of the file, and the first write
// cuts it off with all that follows, unless a later record proves that it was on
// the disk when that one was written: then acknowledged changes are damaged, and
// the file is refused. So it is when one of the records is broken that the file
// began with (whole in record 0), which were on the disk before it got its name.
// Damage to the last batch looks like a torn end; what is cut off is therefore
// kept in NAME.torn. A file that is not one of these, one of a newer version, and
// one that another process has open are refused. A refused file is not touched.
//
// # Locking
//
// Where the system has flock, NAME.lock beside the file NAME is locked while the
// file is open, and stays behind empty. It is not the file itself, because that
// is replaced, and may not be there yet.
package statefile
