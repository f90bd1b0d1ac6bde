package paywall

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// Kind is a form of body.
type Kind int

// The forms of body. JSON is what a client gets that accepts anything.
const (
	JSON Kind = iota
	HTML
	Text
)

// Accepted chooses a form by the Accept header lines (RFC 9110, section 12.5.1): the one with
// the greatest weight, and among equals HTML for browsers, then JSON, then text.
func Accepted(lines []string) Kind {
	weight := map[Kind]float64{}
	ranges := 0
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if ranges++; ranges > 32 {
				return best(weight)
			}
			mediaType, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			kind, ok := kindOf(mediaType)
			if !ok {
				continue
			}
			q := 1.0
			if text, set := params["q"]; set {
				if q, err = strconv.ParseFloat(text, 64); err != nil || q < 0 || q > 1 {
					continue
				}
			}
			weight[kind] = max(weight[kind], q)
		}
	}
	return best(weight)
}

// Navigates tells whether the request is a browser's that opens a page for a person: one that wants
// HTML and, where it says so (the Fetch Metadata specification), navigates a window.
func Navigates(r *http.Request) bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return Accepted(r.Header["Accept"]) == HTML && (mode == "" || mode == "navigate") && (dest == "" || dest == "document")
}

func kindOf(mediaType string) (Kind, bool) {
	switch {
	case mediaType == "text/html", mediaType == "application/xhtml+xml":
		return HTML, true
	case mediaType == "text/plain", mediaType == "text/*":
		return Text, true
	case mediaType == "application/json", mediaType == "application/*", mediaType == "*/*",
		strings.HasSuffix(mediaType, "+json"):
		return JSON, true
	}
	return JSON, false
}

func best(weight map[Kind]float64) Kind {
	choice, most := JSON, weight[JSON]
	if weight[Text] > most {
		choice, most = Text, weight[Text]
	}
	// A browser's "text/html, */*" gives HTML the same weight as it gives to anything.
	if q := weight[HTML]; q > 0 && q >= most {
		choice = HTML
	}
	return choice
}

// IsGRPC tells whether the request is a gRPC call, whose client reads no HTTP status and no body.
func IsGRPC(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// writeGRPC answers with trailers only: one header frame, status 200, no body. Code 13 is what
// the interceptor of Aperture's client looks for in a challenge.
func writeGRPC(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	code, message := "13", "payment required"
	if p.Status != http.StatusPaymentRequired {
		code, message = "14", p.Title // UNAVAILABLE: come again later
	}
	h.Set("Grpc-Status", code)
	h.Set("Grpc-Message", message)
	w.WriteHeader(http.StatusOK)
}
