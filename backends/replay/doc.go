// Package replay is a backend that answers from a recording. Its worlds give
// the answers that the recorded ones gave, to the same calls in the same order;
// whoever asks for something else gets a *backends.UnansweredError: what would
// have happened is not in the recording.
//
// It knows recordings and the contract. It must not know what was recorded, nor
// scenarios beyond the name under which a recording keeps their worlds.
package replay
