// Package netrc writes paid tokens into netrc files, where curl, git, nix, pip, apt and others look
// for the user and password of a host.
package netrc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Login is the user name that tokens stand under. The gate reads the password alone, so that it
// only tells our entries from others.
const Login = "l402"

// MaxLine is the longest line that all readers take: curl's buffer has 4096 bytes, and it drops
// what is longer without a word.
const MaxLine = 3990

// The errors of this package.
var (
	// ErrForeign is returned where a file has an entry for the host that is none of ours: programs
	// take the first one, and replacing it would lose a password.
	ErrForeign = errors.New("there is an entry for this host with another login")
	// ErrUnfit is returned for a host or a credential that no line can hold.
	ErrUnfit = errors.New("it does not fit into a netrc")
	// ErrDamaged is returned for a file in which an entry would not be read: quotes or a macro that
	// do not end swallow it.
	ErrDamaged = errors.New("quotes or a macro in it do not end: mend it or name another file")
	// ErrFile is wrapped by the errors of files.
	ErrFile = errors.New("netrc file")
)

// Line is the line for a host. The credential is <token>:<preimage>, or the token alone where the
// gate can look the payment up.
func Line(host, credential string) (string, error) {
	line := "machine " + host + " login " + Login + " password " + credential
	switch {
	case host == "" || !plain(host):
		return "", fmt.Errorf("%w: the host %q has letters that it cannot hold", ErrUnfit, host)
	case credential == "" || !plain(credential):
		return "", fmt.Errorf("%w: the token has letters that it cannot hold", ErrUnfit)
	case len(line) > MaxLine:
		return "", fmt.Errorf("%w: the line has %d bytes and programs read %d; keep the token with --token-file",
			ErrUnfit, len(line), MaxLine)
	}
	return line, nil
}

// plain tells whether a word needs no quotes with any reader.
func plain(word string) bool {
	return word[0] != '#' && strings.IndexFunc(word, func(c rune) bool {
		return c <= ' ' || c > '~' || c == '"' || c == '\'' || c == '\\'
	}) < 0
}

// Set puts the entry for a host into the text of a file: in the place of the one that was put there
// before, else before a "default" entry, which hides what follows it, else at the end. Everything
// else stays as it is, byte for byte.
func Set(text, host, credential string) (string, error) {
	line, err := Line(host, credential)
	if err != nil {
		return "", err
	}
	entries := parse(text)
	if err := check(entries, host); err != nil {
		return "", err
	}
	var b strings.Builder
	done := 0
	put := func() {
		if line == "" {
			return
		}
		if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(line + "\n")
		line = ""
	}
	for _, e := range entries {
		switch {
		case e.kind == "machine" && strings.EqualFold(e.host, host):
			b.WriteString(text[done:e.begin])
			put()
			done = e.end
		case e.kind == "default":
			b.WriteString(text[done:e.begin])
			put()
			done = e.begin
		}
	}
	b.WriteString(text[done:])
	put()
	if got, want := outline(parse(b.String()), host), outline(entries, host); !slices.Equal(got.others, want.others) || got.ours != 1 {
		return "", ErrDamaged
	}
	return b.String(), nil
}

// contents is what readers find: the entries for a host, and the others.
type contents struct {
	ours   int
	others []string
}

func outline(entries []entry, host string) (c contents) {
	for _, e := range entries {
		if e.kind == "machine" && strings.EqualFold(e.host, host) {
			c.ours++
		} else {
			c.others = append(c.others, e.kind+" "+e.host+" "+e.login)
		}
	}
	return c
}

// check refuses to touch an entry that is not ours.
func check(entries []entry, host string) error {
	for _, e := range entries {
		if e.kind == "machine" && strings.EqualFold(e.host, host) && e.login != Login {
			return fmt.Errorf("%w, %q: remove it or name another file", ErrForeign, e.login)
		}
	}
	return nil
}
