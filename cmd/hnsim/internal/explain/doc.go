// Package explain answers "what is X?" for scenarios, contract rules, drop
// reasons, error codes, knobs, features and build profiles, from the lists
// that the code itself uses: there is no second text that could be out of
// date.
//
// It may look into the model's lists. It must not run anything.
package explain
