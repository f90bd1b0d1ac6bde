package caddyl402

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
)

const (
	// maxIdempotencyKey is the longest key that counts; a longer one is no key.
	maxIdempotencyKey = 256
	// maxComparedBody is the longest body that a retry can have: it is held in memory until the
	// upstream reads it.
	maxComparedBody = 64 << 10
)

// chosenBy are the headers that choose what is answered, besides method, address and body.
var chosenBy = []string{"Range", "If-Range", "Content-Type", "Content-Encoding", "Accept", "Accept-Language"}

// idempotencyKey binds the client's key to what the request asks for, so that a retry is free and
// another question is not. It is empty for a request that cannot be compared with an earlier one,
// such as one with a long body or one of unknown length; each of these is charged.
func idempotencyKey(r *http.Request) string {
	key := r.Header.Get("Idempotency-Key")
	if key == "" || len(key) > maxIdempotencyKey || r.ContentLength < 0 || r.ContentLength > maxComparedBody {
		return ""
	}
	sum := sha256.New()
	for _, part := range []string{key, r.Method, r.Host, r.URL.RequestURI()} {
		fmt.Fprintf(sum, "%q\n", part)
	}
	for _, name := range chosenBy {
		fmt.Fprintf(sum, "%q\n", r.Header[name])
	}
	if r.ContentLength > 0 {
		body, err := readAhead(r)
		if err != nil {
			return ""
		}
		sum.Write(body)
	}
	return string(sum.Sum(nil))
}

// readAhead reads the body of a request and puts it back for the upstream. What is wrong with the
// body the upstream finds out as well.
func readAhead(r *http.Request) ([]byte, error) {
	whole := r.Body
	body, err := io.ReadAll(io.LimitReader(whole, maxComparedBody))
	var rest io.Reader = whole
	if err != nil {
		rest = failingReader{err}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), whole}
	return body, err
}

// failingReader fails as the body did that was read ahead.
type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }
