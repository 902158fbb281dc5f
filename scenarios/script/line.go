package script

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// line is one line of a script, split the way rsc.io/script splits it. We need
// the pieces before it runs, to check them, and while it runs, to tell 'df' (a
// payload) from df (a flag), which the engine's arguments no longer show.
type line struct {
	n      int    // 1-based, in the file
	text   string // as written
	negate bool   // ! in front: the word must be refused
	maybe  bool   // ? in front
	conds  []condition
	word   string
	args   []token
}

type condition struct {
	want bool
	tag  string
}

// token is one blank-separated piece. Quoted fragments are not expanded.
type token []fragment

type fragment struct {
	text   string
	quoted bool
}

// arg is a token after expansion of variables.
type arg struct {
	text   string
	quoted bool   // it begins with a quote: text, never a word or a name=value
	raw    string // with the quotes, for builders that read on
}

const separators = " \t\r\n#"

// parseLine splits a line; a blank line or a comment has no word.
func parseLine(n int, text string) (*line, error) {
	l := &line{n: n, text: strings.TrimSpace(text)}
	tokens, err := splitTokens(text)
	if err != nil {
		return l, err
	}
	for len(tokens) > 0 {
		t := tokens[0]
		if len(t) != 1 || t[0].quoted {
			return l, errors.New("a line begins with a word, not with quoted text")
		}
		tokens = tokens[1:]
		s := t[0].text
		switch {
		case s == "!" || s == "?":
			if l.negate || l.maybe {
				return l, errors.New("two ! or ? in front of one word")
			}
			l.negate, l.maybe = s == "!", s == "?"
			continue
		case strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]"):
			c := condition{true, strings.TrimSpace(s[1 : len(s)-1])}
			if tag, ok := strings.CutPrefix(c.tag, "!"); ok {
				c = condition{false, strings.TrimSpace(tag)}
			}
			if c.tag == "" {
				return l, errors.New("an empty condition")
			}
			l.conds = append(l.conds, c)
			continue
		case strings.HasPrefix(s, "["):
			return l, fmt.Errorf("the condition %s is not closed: no blanks inside [ ]", quoteShort(s))
		}
		l.word, l.args = s, tokens
		if n := len(tokens); n > 0 && len(tokens[n-1]) == 1 && tokens[n-1][0] == (fragment{"&", false}) {
			return l, errors.New("& at the end: nothing runs in the background")
		}
		return l, nil
	}
	if l.negate || l.maybe || len(l.conds) > 0 {
		return l, errors.New("a prefix without a word behind it")
	}
	return l, nil
}

// splitTokens applies the quoting rules: single quotes group and prevent
// expansion, two of them inside quotes are one, # ends the line.
func splitTokens(s string) ([]token, error) {
	var tokens []token
	var cur token
	start, quoted := -1, false
	for i := 0; ; i++ {
		end := i >= len(s)
		switch {
		case !quoted && (end || strings.IndexByte(separators, s[i]) >= 0):
			if start >= 0 {
				cur = append(cur, fragment{s[start:i], false})
				start = -1
			}
			if len(cur) > 0 {
				tokens, cur = append(tokens, cur), nil
			}
			if end || s[i] == '#' {
				return tokens, nil
			}
		case end:
			return nil, errors.New("a quote is not closed")
		case s[i] == '\'' && !quoted:
			if start >= 0 {
				cur = append(cur, fragment{s[start:i], false})
			}
			start, quoted = i+1, true
		case s[i] == '\'':
			cur = append(cur, fragment{s[start:i], true})
			start = i + 1
			if i+1 < len(s) && s[i+1] == '\'' {
				i++ // the second quote begins the next fragment as its first byte
			} else {
				quoted = false
			}
		case start < 0:
			start = i
		}
	}
}

// expand replaces variables in a token. lookup returns false for a variable
// that does not exist; its name is then returned as missing.
func (t token) expand(lookup func(string) (string, bool)) (a arg, missing string) {
	var text, raw strings.Builder
	for i, f := range t {
		if f.quoted {
			a.quoted = a.quoted || i == 0
			text.WriteString(f.text)
			if i == 0 || !t[i-1].quoted {
				raw.WriteByte('\'')
			}
			raw.WriteString(strings.ReplaceAll(f.text, "'", "''"))
			if i+1 == len(t) || !t[i+1].quoted {
				raw.WriteByte('\'')
			}
			continue
		}
		s := os.Expand(f.text, func(name string) string {
			v, ok := lookup(name)
			if !ok && missing == "" {
				missing = name
			}
			return v
		})
		text.WriteString(s)
		raw.WriteString(s)
	}
	a.text, a.raw = text.String(), raw.String()
	return a, missing
}
