// Package contract holds the rules that scenarios cite: dataplane.md and
// controlplane.md, embedded, and their tables as values. It reads the two files
// once and offers rules, the catalogue of proposed scenarios and how sure the
// contract is of each statement. marks.md says which rules no scenario can
// check, why, and which tests check them instead.
//
// The files are the source; nothing in them is repeated here. The package must
// not know scenario files, backends or the model.
package contract
