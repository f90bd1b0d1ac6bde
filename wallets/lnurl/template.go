package lnurl

import (
	"errors"
	"fmt"
	"strings"
)

// template is an address with placeholders that requests fill in.
type template struct {
	// literals stand around the holes: there is one more of them.
	literals []string
	// holes are the placeholders, braces and all.
	holes []string
	form  templateForm
}

// templateForm is what a template makes. It is fixed by the literals, so that no request can
// make a URL where the operator wrote an address.
type templateForm int

const (
	// formWhole is one placeholder for the whole address, user@host.
	formWhole templateForm = iota
	// formAddress is a Lightning address with placeholders in it.
	formAddress
	// formURL is a URL with placeholders in it.
	formURL
)

const (
	valueLetters = "abcdefghijklmnopqrstuvwxyz0123456789._-"
	maxValue     = 320 // an address of the longest name at the longest host
)

func parseTemplate(text string) (*template, error) {
	text = strings.TrimSpace(text)
	t := new(template)
	for rest := text; ; {
		literal, after, found := strings.Cut(rest, "{")
		if strings.Contains(literal, "}") {
			return nil, errors.New("address holds a '}' without '{'")
		}
		t.literals = append(t.literals, literal)
		if !found {
			break
		}
		name, next, closed := strings.Cut(after, "}")
		if !closed || strings.TrimSpace(name) == "" || strings.Contains(name, "{") {
			return nil, errors.New("address holds a placeholder that is empty or has no '}'")
		}
		t.holes = append(t.holes, "{"+name+"}")
		rest = next
	}
	literals := strings.Join(t.literals, "")
	first := strings.ToLower(t.literals[0])
	switch {
	case literals == "" && len(t.holes) == 1:
		t.form = formWhole
	case strings.HasPrefix(first, "https://"), strings.HasPrefix(first, "http://"), strings.HasPrefix(first, "lnurlp://"):
		t.form = formURL
	case strings.Count(literals, "@") == 1 && !strings.Contains(literals, "/"):
		t.form = formAddress
	default:
		return nil, errors.New("address: a placeholder can stand for a whole Lightning address, for a part " +
			"of one such as {http.vars.user}@example.com, or in a URL whose https:// is written out")
	}
	return t, nil
}

// hostOpen tells whether requests name the host or a part of it.
func (t *template) hostOpen() bool {
	switch t.form {
	case formURL:
		_, rest, _ := strings.Cut(t.literals[0], "://")
		return !strings.ContainsAny(rest, "/?#")
	case formAddress:
		// The '@' is in the last literal, or a placeholder follows it.
		return !strings.Contains(t.literals[len(t.literals)-1], "@")
	}
	return true
}

// sample is a value as a request could give it.
func (t *template) sample() string {
	if t.form == formWhole {
		return "user@example.com"
	}
	return "sample"
}

// fill makes the target for one request. Errors of replace are passed on; others do not repeat
// what the request said.
func (t *template) fill(replace func(string) (string, error), r rules) (*target, error) {
	var b strings.Builder
	for i, hole := range t.holes {
		value, err := replace(hole)
		if err != nil {
			return nil, err
		}
		if err := t.checkValue(value); err != nil {
			return nil, fmt.Errorf("the request's value of %s: %w", hole, err)
		}
		b.WriteString(t.literals[i])
		b.WriteString(value)
	}
	b.WriteString(t.literals[len(t.holes)])
	return parseTarget(b.String(), r)
}

// checkValue refuses whatever could change more than the place where it stands.
func (t *template) checkValue(value string) error {
	letters := valueLetters
	switch t.form {
	case formWhole:
		letters += "+@"
	case formAddress:
		letters += "+"
	}
	switch {
	case value == "":
		return errors.New("it is empty")
	case len(value) > maxValue:
		return fmt.Errorf("it is longer than %d bytes", maxValue)
	case strings.Trim(value, letters) != "":
		return errors.New("it holds characters other than lower-case letters, digits, '.', '_' and '-'")
	case value == "." || strings.Contains(value, ".."):
		return errors.New("it holds dots as a path does")
	case t.form == formWhole && strings.Count(value, "@") != 1:
		return errors.New("it is not an address of the form user@host")
	}
	return nil
}
