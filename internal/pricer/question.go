package pricer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxQuestion bounds what a program is told of a request, in bytes.
const maxQuestion = 16 << 10

// Question is what a program is told of a request. Two requests with equal questions cost the same.
type Question struct {
	Service string            `json:"service"`
	Method  string            `json:"method"`
	Host    string            `json:"host"`
	Path    string            `json:"path"`
	Query   string            `json:"query"`
	Headers map[string]string `json:"headers,omitempty"`
}

// Ask makes the question about a request to a service. headers are the canonical names of those
// that the program is told; see CheckHeader. Errors wrap ErrNoPrice and ErrQuestion.
func Ask(r *http.Request, service string, headers []string) (Question, error) {
	q := Question{Service: service, Method: r.Method, Host: strings.ToLower(r.Host), Path: r.URL.Path, Query: r.URL.RawQuery}
	for _, name := range headers {
		if values := r.Header.Values(name); len(values) > 0 {
			if q.Headers == nil {
				q.Headers = make(map[string]string, len(headers))
			}
			q.Headers[name] = strings.Join(values, ", ")
		}
	}
	length := 0
	for _, text := range q.texts() {
		length += len(text)
		if !utf8.ValidString(text) || length > maxQuestion {
			return Question{}, fmt.Errorf("%w: %w", ErrNoPrice, ErrQuestion)
		}
	}
	return q, nil
}

// texts are all words of the question in a fixed order.
func (q *Question) texts() []string {
	texts := []string{q.Service, q.Method, q.Host, q.Path, q.Query}
	names := make([]string, 0, len(q.Headers))
	for name := range q.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		texts = append(texts, name, q.Headers[name])
	}
	return texts
}

// Key names the question: equal questions have equal keys, and different ones different keys. It
// holds what the client sent and is for memory, or to be hashed.
func (q *Question) Key() string {
	key, err := json.Marshal(q.texts())
	if err != nil { // strings can always be written
		panic(err)
	}
	return string(key)
}

// text is the request as HTTP/1.1 writes it, without a body.
func (q *Question) text() string {
	target := (&url.URL{Path: q.Path, RawQuery: q.Query}).RequestURI()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", q.Method, target, clean(q.Host))
	texts := q.texts()[5:]
	for i := 0; i < len(texts); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", texts[i], clean(texts[i+1]))
	}
	b.WriteString("\r\n")
	return b.String()
}

// clean keeps a header in its line.
func clean(value string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(value) }

// secretHeaders may hold credentials, which no program is told.
var secretHeaders = []string{
	"Authorization", "Proxy-Authorization", "Payment-Authorization", "Macaroon", "Grpc-Metadata-Macaroon", "Cookie", "X-Cashu",
}

// CheckHeader gives the canonical name of a header that a program may be told, or an error.
func CheckHeader(name string) (string, error) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}):
		return "", fmt.Errorf("%q is not the name of a header", name)
	case canonical == "Host":
		return "", fmt.Errorf("the host is told anyway")
	case slices.Contains(secretHeaders, canonical):
		return "", fmt.Errorf("%s may hold a credential, which price programs are not told", canonical)
	}
	return canonical, nil
}
