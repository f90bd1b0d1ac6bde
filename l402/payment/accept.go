package payment

import (
	"strconv"
	"strings"
)

// Preference is what an Accept-Payment header says of a method and intent.
type Preference int

const (
	// Indifferent is for a client that says nothing of it.
	Indifferent Preference = iota
	// Wanted is for a client that names the method, with a weight above zero.
	Wanted
	// Unwanted is for a client that gives it the weight zero.
	Unwanted
)

// maxRanges bounds how many ranges of a header are looked at.
const maxRanges = 64

// Preferred reads what Accept-Payment lines say of a method and intent. The most specific range
// counts, as in other negotiations of HTTP; a wildcard for the method wants nothing in particular.
// What cannot be read is passed over.
func Preferred(lines []string, method, intent string) Preference {
	best, result, ranges := 0, Indifferent, 0
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if ranges++; ranges > maxRanges {
				return result
			}
			token, parameters, _ := strings.Cut(part, ";")
			m, i, ok := strings.Cut(strings.Trim(token, " \t"), "/")
			weight, valid := weightOf(parameters)
			if !ok || !valid || m != method && m != "*" || i != intent && i != "*" {
				continue
			}
			specific := 1
			if m != "*" {
				specific += 2
			}
			if i != "*" {
				specific++
			}
			if specific < best {
				continue
			}
			best = specific
			switch {
			case weight == 0:
				result = Unwanted
			case m == method:
				result = Wanted
			default:
				result = Indifferent
			}
		}
	}
	return result
}

// weightOf reads the weight among a range's parameters.
func weightOf(parameters string) (weight float64, valid bool) {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.Trim(parameter, " \t"), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		weight, err := strconv.ParseFloat(value, 64)
		return weight, err == nil && weight >= 0 && weight <= 1
	}
	return 1, true
}
