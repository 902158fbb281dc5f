package script

import (
	"slices"
	"sync"
)

// wordTable has every word in the order of the reference. It is built on first
// use because words' parsers refer to it.
var wordTable = sync.OnceValue(func() []*word {
	return slices.Concat(topologyWords, controlWords, sdnWords, containerWords, programWords, sendWords, randomWords, probeWords, expectWords, queryWords, miscWords)
})

var wordIndex = sync.OnceValue(func() map[string]*word {
	m := map[string]*word{}
	for _, w := range wordTable() {
		if m[w.name] != nil {
			panic("script: two words are called " + w.name)
		}
		m[w.name] = w
	}
	return m
})

func findWord(name string) *word { return wordIndex()[name] }

func words() []string { return wordNames(wordIndex()) }
