package lnurl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// refused says that the payee's server understood the call and refuses it: LNURL's
// {"status":"ERROR","reason":…}.
type refused struct {
	kind   error // a sentinel of package wallets
	status int
	reason string
}

func (e *refused) Error() string {
	return fmt.Sprintf("%s: the payee's server refuses: %s", e.kind, e.reason)
}

func (e *refused) Unwrap() error { return e.kind }

// unknown tells whether the refusal means that there is no such thing. LUD-21 gives "Not found" as
// the reason; servers vary its wording and some set the HTTP status.
func (e *refused) unknown() bool {
	return e.status == http.StatusNotFound || strings.Contains(strings.ToLower(e.reason), "not found")
}

// errGone says that an address of the payee's server does not exist (any more).
var errGone = errors.New("the address does not exist")

// get asks an address for a JSON object. Errors wrap a sentinel of package wallets or the
// context's error; they quote what the server gives as reason, cleaned and cut.
func (w *Wallet) get(ctx context.Context, r httpjson.Request, v any) error {
	answer, err := w.client.Do(ctx, r)
	if err != nil {
		return err
	}
	return readAnswer(answer, w.secretsOf(r.URL), v)
}

// secretsOf are the words of an address that no error may repeat, as a server does that tells what
// it was asked for. A Lightning address is public.
func (w *Wallet) secretsOf(address string) []string {
	u, err := url.Parse(address)
	if err != nil || strings.Contains(w.target.name, "@") && address == w.target.url.String() {
		return nil
	}
	words := []string{u.RequestURI()}
	for word := range strings.SplitSeq(u.Path, "/") {
		words = append(words, word)
	}
	for _, values := range u.Query() {
		words = append(words, values...)
	}
	// Shorter ones are no secrets, and taking them out would leave no sense.
	return slices.DeleteFunc(words, func(word string) bool { return len(word) < 6 })
}

func readAnswer(answer *httpjson.Answer, secrets []string, v any) error {
	var verdict struct {
		Status any `json:"status"`
		Reason any `json:"reason"`
	}
	fine := answer.Status >= 200 && answer.Status < 300
	if err := answer.Decode(&verdict); err != nil {
		if fine {
			return err
		}
		return notFine(answer, secrets)
	}
	if status, ok := verdict.Status.(string); ok && strings.EqualFold(status, "ERROR") {
		reason, _ := verdict.Reason.(string)
		return newRefused(answer.Status, httpjson.Clean(reason, secrets...))
	}
	if !fine {
		return notFine(answer, secrets)
	}
	return answer.Decode(v)
}

func newRefused(status int, reason string) *refused {
	kind := wallets.ErrUnavailable
	// Servers send refusals with status 200 or, against LUD-06, with another one that then
	// says more.
	if status >= 400 {
		if known := httpjson.StatusError(status); known != wallets.ErrBadAnswer {
			kind = known
		}
	}
	return &refused{kind: kind, status: status, reason: reason}
}

// notFine is the error for an answer whose status says failure.
func notFine(answer *httpjson.Answer, secrets []string) error {
	err := answer.Refusal(httpjson.Clean(string(answer.Body), secrets...))
	if answer.Status == http.StatusNotFound || answer.Status == http.StatusGone {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return err
}

// millisat is an amount in JSON. Some servers write whole numbers with a decimal point or an
// exponent.
type millisat uint64

// UnmarshalJSON reads a number that is whole and not negative.
func (m *millisat) UnmarshalJSON(b []byte) error {
	if n, err := strconv.ParseUint(string(b), 10, 64); err == nil {
		*m = millisat(n)
		return nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	// Above 2^53 not every whole number can be told from its neighbors.
	if err != nil || f < 0 || f > 1<<53 || f != float64(uint64(f)) {
		return errors.New("an amount is not a whole number")
	}
	*m = millisat(f)
	return nil
}

// Interface guards.
var _ json.Unmarshaler = (*millisat)(nil)
