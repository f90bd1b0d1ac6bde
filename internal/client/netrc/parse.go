package netrc

import "strings"

// entry is a part of a file, from its keyword to the end of the line after its last word.
type entry struct {
	kind        string // "machine", "default" or "macdef"
	host, login string
	begin, end  int
}

// parse finds the entries of a file as curl and Python do: words between blanks, some of them in
// double quotes, comments from a "#" that begins a line's words, and macros up to an empty line.
// What it does not understand belongs to the entry before it.
func parse(text string) (entries []entry) {
	s := scanner{text: text}
	var now *entry
	for {
		word, ok := s.next()
		if !ok {
			return entries
		}
		switch {
		case word == "machine" || word == "default" || word == "macdef":
			entries = append(entries, entry{kind: word, begin: s.begin})
			now = &entries[len(entries)-1]
			switch word {
			case "machine":
				now.host, _ = s.value()
			case "macdef":
				s.macro()
			}
		case now == nil:
			continue
		case word == "login" || word == "user":
			now.login, _ = s.value()
		case word == "password" || word == "account":
			s.value()
		default:
			continue // a word that nobody knows ends nothing
		}
		now.end = s.lineEnd()
	}
}

// scanner reads words; begin is where the last one starts and at the place behind it.
type scanner struct {
	text      string
	begin, at int
}

const blanks = " \t\r\n"

// next reads a word and skips comments.
func (s *scanner) next() (string, bool) {
	for {
		word, ok := s.value()
		if !ok || word == "" || s.text[s.begin] != '#' {
			return word, ok
		}
		s.at = s.begin + index(s.text[s.begin:], "\n")
	}
}

// value reads a word that may begin with "#".
func (s *scanner) value() (string, bool) {
	rest := strings.TrimLeft(s.text[s.at:], blanks)
	s.begin = len(s.text) - len(rest)
	if rest == "" {
		s.at = s.begin
		return "", false
	}
	if rest[0] != '"' {
		n := strings.IndexAny(rest, blanks)
		if n < 0 {
			n = len(rest)
		}
		s.at = s.begin + n
		return rest[:n], true
	}
	var word strings.Builder
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '"':
			s.at = s.begin + i + 1
			return word.String(), true
		case c == '\\' && i+1 < len(rest):
			i++
			word.WriteByte(rest[i])
		default:
			word.WriteByte(c)
		}
	}
	s.at = len(s.text) // quotes that do not end: the rest is theirs
	return word.String(), true
}

// macro skips a macro's text: up to an empty line or the end.
func (s *scanner) macro() {
	s.at += index(s.text[s.at:], "\n\n")
}

// lineEnd is the place behind the line break that follows the last word, where nothing else stands
// between them; else right behind the word.
func (s *scanner) lineEnd() int {
	rest := s.text[s.at:]
	after := strings.TrimLeft(rest, " \t\r")
	if strings.HasPrefix(after, "\n") {
		return len(s.text) - len(after) + 1
	}
	return s.at
}

// index is where sep begins, or the length of s where it does not occur.
func index(s, sep string) int {
	if i := strings.Index(s, sep); i >= 0 {
		return i
	}
	return len(s)
}
