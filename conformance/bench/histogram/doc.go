// Package histogram counts values in buckets whose width grows with the value,
// so that percentiles of many orders of magnitude take little memory and have
// one relative error.
//
// It knows numbers. What they measure is its callers' business.
package histogram
