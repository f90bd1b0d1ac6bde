package nwc

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// Error codes of NIP-47 that are told apart here.
const (
	codeRateLimited    = "RATE_LIMITED"
	codeNotImplemented = "NOT_IMPLEMENTED"
	codeNoBalance      = "INSUFFICIENT_BALANCE"
	codeQuota          = "QUOTA_EXCEEDED"
	codeRestricted     = "RESTRICTED"
	codeUnauthorized   = "UNAUTHORIZED"
	codeInternal       = "INTERNAL"
	codeNotFound       = "NOT_FOUND"
	codePaymentFailed  = "PAYMENT_FAILED"
	codeEncryption     = "UNSUPPORTED_ENCRYPTION"
)

// errRefused says that the wallet understood the call and will not do it.
var errRefused = errors.New("the wallet refuses")

// walletError is a refusal that the wallet signed.
type walletError struct {
	method, code, message string
}

// Error gives the code and the message, cleaned of what could be a secret.
func (e *walletError) Error() string {
	text := fmt.Sprintf("%s: %s says %s: %s", e.sentinel(), e.method, clean(e.code), clean(e.message))
	if cure := e.cure(); cure != "" {
		text += ": " + cure
	}
	return text
}

// Unwrap gives the error of package wallets that the code means.
func (e *walletError) Unwrap() error { return e.sentinel() }

func (e *walletError) sentinel() error {
	switch e.code {
	case codeRateLimited:
		return wallets.ErrRateLimited
	case codeUnauthorized, codeRestricted:
		return wallets.ErrUnauthorized
	case codeNotImplemented:
		if e.method == methodLookup {
			return wallets.ErrLookupUnsupported
		}
		return wallets.ErrUnauthorized
	case codeNotFound:
		return wallets.ErrNotFound
	case codeInternal, codeEncryption:
		return wallets.ErrUnavailable
	case codePaymentFailed, codeNoBalance, codeQuota:
		if e.method == methodPay {
			return wallets.ErrPaymentFailed
		}
	}
	return errRefused
}

func (e *walletError) cure() string {
	switch e.code {
	case codeRestricted, codeNotImplemented:
		return "make a connection in the wallet that allows " + e.method + ", if the wallet has it"
	case codeUnauthorized:
		return "make a new connection in the wallet and put its URI into the configuration"
	}
	return ""
}

// hasCode tells whether the wallet answered with one of the codes.
func hasCode(err error, codes ...string) bool {
	var e *walletError
	if !errors.As(err, &e) {
		return false
	}
	for _, code := range codes {
		if e.code == code {
			return true
		}
	}
	return false
}

const maxErrorText = 200

// longRun matches whatever could be a key, a preimage, a token or an invoice.
var longRun = regexp.MustCompile(`[A-Za-z0-9+/_=-]{24,}`)

// clean makes a text from the other side fit for an error or a log line: no secret that it echoes,
// no control characters, not too long.
func clean(text string) string {
	// The final bound comes after the removal, or a secret that is cut would be too short to
	// be seen.
	if len(text) > 16<<10 {
		text = text[:16<<10]
	}
	text = longRun.ReplaceAllString(text, "…")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	if strings.TrimSpace(text) == "" {
		return "no reason given"
	}
	return text
}
