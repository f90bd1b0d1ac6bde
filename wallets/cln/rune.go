package cln

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// authBytes is the length of the part of a rune that is secret; what follows are its restrictions.
const authBytes = 32

// maxRune bounds a rune in its text form.
const maxRune = 16 << 10

var errNoRune = errors.New("not a rune: give the whole text that lightning-cli createrune prints as rune")

// DescribeRune lists the restrictions of a rune, one entry each, its alternatives joined with
// " or ". Whether the rune is of a certain node, only that node can tell. Errors do not repeat the
// rune.
func DescribeRune(text string) ([]string, error) {
	if len(text) > maxRune {
		return nil, errNoRune
	}
	bare := strings.TrimRight(strings.TrimSpace(text), "=")
	b, err := base64.RawURLEncoding.DecodeString(bare)
	if err != nil || len(b) < authBytes || !utf8.Valid(b[authBytes:]) {
		return nil, errNoRune
	}
	var out []string
	for _, restriction := range splitRune(string(b[authBytes:]), '&') {
		if restriction == "" {
			return nil, errNoRune
		}
		var alternatives []string
		for _, alternative := range splitRune(restriction, '|') {
			words, err := describeAlternative(unescapeRune(alternative))
			if err != nil {
				return nil, err
			}
			alternatives = append(alternatives, words)
		}
		out = append(out, strings.Join(alternatives, " or "))
	}
	if len(out) == 0 || len(out) == 1 && strings.HasPrefix(out[0], uniqueID) {
		out = append(out, "everything: the rune has no restrictions")
	}
	return out, nil
}

// uniqueID begins the entry that is no restriction but the rune's number.
const uniqueID = "unique id "

// operators are the marks between the name and the value of a condition.
const operators = `=/^$~<>{}#!`

func describeAlternative(text string) (string, error) {
	i := strings.IndexAny(text, operators)
	if i < 0 {
		return "", errNoRune
	}
	if i == 0 && text[0] == '=' {
		return uniqueID + httpjson.Clean(text[1:]), nil
	}
	return httpjson.Clean(text), nil
}

// splitRune splits at a mark that no backslash escapes. The empty text has no parts.
func splitRune(text string, mark byte) []string {
	if text == "" {
		return nil
	}
	var parts []string
	start := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case mark:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

func unescapeRune(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		out.WriteByte(text[i])
	}
	return out.String()
}
