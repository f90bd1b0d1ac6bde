package rates

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	maxPath  = 200
	maxSteps = 16
)

// Path leads to a value in a JSON document: names of members and indexes of elements with dots
// between them, such as "result.XXBTZUSD.c.0". A star stands for the only member of an object or
// the only element of an array. The currency's code is filled in for {CUR} and {cur}.
type Path string

// check refuses a path that leads nowhere.
func (p Path) check() error {
	if p == "" || len(p) > maxPath {
		return fmt.Errorf("the JSON path has no letters or more than %d", maxPath)
	}
	steps := p.steps()
	if len(steps) > maxSteps {
		return fmt.Errorf("the JSON path has more than %d parts", maxSteps)
	}
	for _, step := range steps {
		if step == "" {
			return fmt.Errorf("the JSON path %q has an empty part: write it like data.amount", string(p))
		}
	}
	return nil
}

// steps are the parts of a path. The dollar sign that other notations begin with is left out.
func (p Path) steps() []string { return strings.Split(strings.TrimPrefix(string(p), "$."), ".") }

// document reads JSON with numbers as they are written.
func document(content []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, errors.New("the answer is not JSON")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("the answer is more than one JSON value")
	}
	return value, nil
}

// find follows the path to a number or a string.
func (p Path) find(value any) (string, error) {
	for i, step := range p.steps() {
		next, ok := follow(value, step)
		if !ok {
			return "", fmt.Errorf("the answer has nothing at %q, part %d of the JSON path", step, i+1)
		}
		value = next
	}
	switch v := value.(type) {
	case json.Number:
		return v.String(), nil
	case string:
		return v, nil
	}
	return "", errors.New("the JSON path leads to neither a number nor a string")
}

func follow(value any, step string) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		if step == "*" && len(v) == 1 {
			for _, only := range v {
				return only, true
			}
		}
		next, ok := v[step]
		return next, ok
	case []any:
		if step == "*" && len(v) == 1 {
			return v[0], true
		}
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(v) {
			return nil, false
		}
		return v[i], true
	}
	return nil, false
}
