package lnbits

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// ErrPreimageShown says that LNbits shows the preimages of invoices that were not paid to anyone who
// asks, so that nobody would have to pay. It comes with wallets.ErrUnavailable.
var ErrPreimageShown = errors.New("LNbits shows the preimage of an unpaid invoice to anyone who knows its hash: " +
	"close /api/v1/payments/ to all others and set private_api, or use another wallet")

// statusPayment is what LNbits answers when a payment or an invoice could not be made, with a word
// on how it ended.
const statusPayment = 520

// failure is the body of an answer that is an error. Detail is a text, or a list of what is wrong
// with the request.
type failure struct {
	Detail json.RawMessage `json:"detail"`
	// Status is how a payment ended: failed, pending or success.
	Status string `json:"status"`
}

// readFailure reads the body of an error, as far as it is one of LNbits.
func readFailure(answer *httpjson.Answer) (reason, status string) {
	var f failure
	if json.Unmarshal(answer.Body, &f) != nil {
		return "", ""
	}
	if json.Unmarshal(f.Detail, &reason) != nil {
		reason = string(f.Detail)
	}
	return reason, f.Status
}

// noWallet tells the answer that there is no wallet for the key, which LNbits gives with status 404.
func noWallet(answer *httpjson.Answer) bool {
	reason, _ := readFailure(answer)
	return answer.Status == http.StatusNotFound && strings.HasPrefix(strings.ToLower(reason), "wallet not found")
}

// refused tells the answers that refuse the key.
func refused(answer *httpjson.Answer) bool {
	return answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden || noWallet(answer)
}

// refusal reads the error off an answer.
func refusal(answer *httpjson.Answer) error {
	reason, _ := readFailure(answer)
	err := answer.Refusal(reason)
	text := strings.ToLower(reason)
	switch {
	case noWallet(answer):
		return fmt.Errorf("%w: no wallet has this key: set key to the wallet's invoice key", wallets.ErrUnauthorized)
	case answer.Status == http.StatusUnauthorized, answer.Status == http.StatusForbidden:
		return fmt.Errorf("%w: set key to the wallet's invoice key", err)
	case answer.Status == http.StatusNotFound && strings.HasPrefix(text, "payment does not exist"):
		return fmt.Errorf("%w: status 404", wallets.ErrNotFound)
	case answer.Status == http.StatusNotFound:
		return fmt.Errorf("%w: is this the address of LNbits?", err)
	case answer.Status != statusPayment:
		return err
	case strings.Contains(text, "too high"):
		return fmt.Errorf("%w: %w", wallets.ErrAmount, err)
	case strings.Contains(text, "does not have permission"):
		return fmt.Errorf("%w: %w", wallets.ErrUnauthorized, err)
	case strings.Contains(text, "balance cannot exceed"):
		return fmt.Errorf("%w: withdraw something, or raise the server's limit", err)
	}
	return err
}
