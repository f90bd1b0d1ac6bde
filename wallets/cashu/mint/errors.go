package mint

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// The errors of this package, besides those of package wallets. Those below ErrRefused come with a
// Refusal; they are the codes of the NUTs, which not all mints use alike.
var (
	// ErrCheated says that the mint's answer is not what was asked for: other amounts, another
	// keyset, keys that do not fit their id, or a DLEQ that does not hold. It comes with
	// wallets.ErrBadAnswer.
	ErrCheated = errors.New("the mint's answer is not what was asked for")
	// ErrUnsupported says that the mint lacks a NUT.
	ErrUnsupported = errors.New("the mint does not support this")
	// ErrUnit says that ecash is of another unit than the one that is needed.
	ErrUnit = errors.New("ecash of another unit")
	// ErrNoKeyset says that the mint has no active keyset of a unit.
	ErrNoKeyset = errors.New("the mint has no active keyset for this unit")

	// ErrRefused says that the mint answered with an error of its own.
	ErrRefused = errors.New("refused by the mint")
	// ErrInvalidProof is code 10001 (or 10003): a signature or witness is not good.
	ErrInvalidProof = errors.New("proof not valid")
	// ErrSpent is code 11001: an input was spent before.
	ErrSpent = errors.New("ecash already spent")
	// ErrPending is code 11002: an input is part of a payment in flight.
	ErrPending = errors.New("ecash is pending")
	// ErrSigned is code 11003, 11004 (or 10002): an output was signed before, or is about to
	// be.
	ErrSigned = errors.New("output already signed")
	// ErrLimit is code 11006: the amount is outside the mint's limits.
	ErrLimit = errors.New("amount outside the mint's limits")
	// ErrKeyset is code 12001, 12002 or 12003: the keyset is unknown, inactive or expired.
	ErrKeyset = errors.New("keyset not usable at the mint")
	// ErrNotPaid is code 20001: the invoice of a mint quote is not paid.
	ErrNotPaid = errors.New("quote not paid")
	// ErrIssued is code 20002: a mint quote was used before.
	ErrIssued = errors.New("quote already issued")
	// ErrDisabled is code 20003: the mint makes no new ecash.
	ErrDisabled = errors.New("minting is disabled")
	// ErrPaymentFailed is code 20004: the payment of a melt failed.
	ErrPaymentFailed = errors.New("the mint's payment failed")
	// ErrQuotePending is code 20005: a payment is in flight.
	ErrQuotePending = errors.New("quote is pending")
	// ErrPaid is code 20006: the invoice of a melt is paid.
	ErrPaid = errors.New("invoice already paid")
	// ErrExpired is code 20007: the quote has expired.
	ErrExpired = errors.New("quote expired")
)

var codes = map[int]error{
	10001: ErrInvalidProof, 10003: ErrInvalidProof,
	10002: ErrSigned, 11003: ErrSigned, 11004: ErrSigned,
	11001: ErrSpent, 11002: ErrPending, 11006: ErrLimit,
	12001: ErrKeyset, 12002: ErrKeyset, 12003: ErrKeyset,
	20001: ErrNotPaid, 20002: ErrIssued, 20003: ErrDisabled, 20004: ErrPaymentFailed,
	20005: ErrQuotePending, 20006: ErrPaid, 20007: ErrExpired,
}

// Refusal is an error that the mint answered with (NUT-00). It is ErrRefused, and the error of its
// code.
type Refusal struct {
	// Status is the HTTP status.
	Status int
	// Code is the NUTs' code, or zero.
	Code int
	// Detail is what the mint says, cleaned of what could be a secret.
	Detail string
}

// Error says what the mint said.
func (r *Refusal) Error() string {
	if err, ok := codes[r.Code]; ok {
		return fmt.Sprintf("%s: %v (code %d): %s", ErrRefused, err, r.Code, r.Detail)
	}
	return fmt.Sprintf("%s: code %d: %s", ErrRefused, r.Code, r.Detail)
}

// Is tells ErrRefused and the error of the code.
func (r *Refusal) Is(target error) bool {
	return target == ErrRefused || codes[r.Code] == target
}

// refusal makes the error of an answer that is not 200.
func refusal(a *httpjson.Answer) error {
	var body struct {
		Detail json.RawMessage `json:"detail"`
		Code   int             `json:"code"`
	}
	// A mint answers 400; some answer 500 with a code. Without a code it is whatever stands
	// before the mint that speaks.
	if json.Unmarshal(a.Body, &body) == nil && (body.Code != 0 || a.Status == 400) {
		var detail string
		if json.Unmarshal(body.Detail, &detail) != nil {
			detail = string(body.Detail)
		}
		return &Refusal{Status: a.Status, Code: body.Code, Detail: httpjson.Clean(detail)}
	}
	if a.Status == 404 || a.Status == 405 || a.Status == 501 {
		return fmt.Errorf("%w: status %d", ErrUnsupported, a.Status)
	}
	return a.Refusal("")
}

// cheated makes an error for an answer that is well-formed and wrong.
func cheated(format string, args ...any) error {
	return fmt.Errorf("%w: %w: %s", wallets.ErrBadAnswer, ErrCheated, fmt.Sprintf(format, args...))
}
