// Package statement is the conformance report of an implementation: a document
// in the form of gateway-api's, derived from the results of runs and nothing
// else, so that anybody who has the results can check it.
//
// It knows results. It must know neither the suite nor what was tested.
package statement
