package discovery

import (
	"path"
	"strconv"
	"strings"
)

// Match tells whether a path fits a pattern of Caddy's path matcher: case does not count, a star at
// an end stands for anything, and one in the middle for anything within a segment.
func Match(pattern, name string) bool {
	pattern = strings.ToLower(strings.ReplaceAll(pattern, "%*", "*"))
	name = strings.ToLower(name)
	stars := strings.Count(pattern, "*")
	first, last := strings.HasPrefix(pattern, "*"), strings.HasSuffix(pattern, "*")
	switch {
	case stars == 0:
		return pattern == name
	case pattern == "*":
		return true
	case stars == 1 && last:
		return strings.HasPrefix(name, pattern[:len(pattern)-1])
	case stars == 1 && first:
		return strings.HasSuffix(name, pattern[1:])
	case stars == 2 && first && last:
		return strings.Contains(name, pattern[1:len(pattern)-1])
	}
	matched, err := path.Match(pattern, name)
	return err == nil && matched
}

// template writes a pattern as a path of OpenAPI, with a parameter for each star, and names the
// parameters.
func template(pattern string) (text string, parameters []string) {
	pattern = strings.ReplaceAll(pattern, "%*", "*")
	if !strings.HasPrefix(pattern, "/") {
		pattern = "/" + pattern
	}
	parts := strings.Split(pattern, "*")
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			name := "path"
			if i > 1 {
				name += strconv.Itoa(i)
			}
			parameters = append(parameters, name)
			b.WriteString("{" + name + "}")
		}
		b.WriteString(part)
	}
	return b.String(), parameters
}

// sample is a path that a template of OpenAPI stands for.
func sample(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if _, text, found = strings.Cut(rest, "}"); !found {
			return b.String()
		}
		b.WriteString("x")
	}
}
