// Package reports turns what happened in a run into everything people and
// machines read about it.
//
// There is one source of truth: a log of events, one JSON object a line (see
// Event). A Collector folds events into a Report, and every other format is
// derived from a Report and from nothing else: JUnit XML, the JSON summary,
// the Markdown summary, GitHub annotations and the text on a terminal. A log
// that ends early (crash, interrupt) still gives a Report; it says that it is
// not complete.
//
// The package also writes packet captures (pcapng), one interface per point of
// the pipeline.
//
// It knows results and events. It does not know who produced them: neither the
// test framework, nor scenarios, nor backends, nor the model. All contents
// that two runs are compared by (the JSON summary, the text of failures) are
// free of wall-clock times; those stay in the event log and in JUnit, whose
// readers want them.
package reports
