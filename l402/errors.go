package l402

import (
	"errors"

	"github.com/caddy-l402/caddy-l402/l402/payment"
)

// Error is a refusal with a stable code. Its text is a sentence that a client may see: it holds
// nothing of the credential.
type Error struct {
	code string
	text string
}

// Error returns the sentence that says what is wrong.
func (e *Error) Error() string { return e.text }

// Code returns the stable, lower-case code of the refusal, such as "token_expired". Codes are part
// of the interface to clients and do not change.
func (e *Error) Code() string { return e.code }

// The refusals of Reader and Verify. They are returned bare, so that comparing with == works and a
// refusal allocates nothing; errors.Is works as well.
var (
	// ErrNoCredential says that the request carries no credential. Reader does not return it
	// (it just finds nothing); it is for those who must tell why a request is refused.
	ErrNoCredential error = &Error{"no_credential", "the request carries no L402 credential"}
	// ErrMalformedCredential says that a credential cannot be read: bad base64, bad hex, a
	// preimage that is not 64 hex digits, bytes behind it.
	ErrMalformedCredential error = &Error{"malformed_credential", "the credential cannot be read: send L402 <token in base64>:<preimage as 64 hex digits>"}
	// ErrTokenTooLong says that a token is larger than MaxMacaroonSize or has more than
	// MaxCaveats caveats, or that a request carries more credentials than MaxCandidates or
	// more header text than MaxHeaderText.
	ErrTokenTooLong error = &Error{"token_too_long", "the credential is too long: too many bytes, caveats or tokens"}
	// ErrMalformedToken says that the bytes are not a token of this protocol.
	ErrMalformedToken error = &Error{"malformed_token", "the token is not a macaroon in the layout of L402 tokens"}
	// ErrUnsupportedVersion says that the macaroon's or the identifier's version is unknown.
	ErrUnsupportedVersion error = &Error{"unsupported_version", "the token has a version that this server does not know"}
	// ErrUnknownKey says that the token's key id is not one of this server.
	ErrUnknownKey error = &Error{"unknown_key", "the token was made with a key that this server does not have"}
	// ErrPreimageMissing says that everything about the token is right, but that there is no
	// preimage to prove the payment. Verify fills the Grant in this case only.
	ErrPreimageMissing error = &Error{"preimage_missing", "the preimage is missing: the token was not shown to be paid"}
	// ErrPreimageMismatch says that the preimage is not the one of the token's invoice.
	ErrPreimageMismatch error = &Error{"preimage_mismatch", "the preimage does not belong to the token's invoice"}
	// ErrBadSignature says that the token was not made by this server or was changed.
	ErrBadSignature error = &Error{"bad_signature", "the token's signature is wrong"}
	// ErrMalformedCaveat says that a known caveat has a value that cannot be read.
	ErrMalformedCaveat error = &Error{"malformed_caveat", "a caveat of the token has a value that cannot be read"}
	// ErrUnknownCaveat says that the token has a caveat that this server does not know.
	ErrUnknownCaveat error = &Error{"unknown_caveat", "the token has a caveat that this server does not know"}
	// ErrConflictingCaveats says that a repeated caveat widens or contradicts an earlier one.
	ErrConflictingCaveats error = &Error{"conflicting_caveats", "two caveats of the token contradict each other or the later one widens the earlier"}
	// ErrNoServices says that the token has no services caveat.
	ErrNoServices error = &Error{"no_services", "the token names no service"}
	// ErrWrongService says that the token is for other services.
	ErrWrongService error = &Error{"wrong_service", "the token is for another service"}
	// ErrWrongTier says that the token is for another tier of the service.
	ErrWrongTier error = &Error{"wrong_tier", "the token is for another tier of this service"}
	// ErrMissingCapability says that the token lacks a capability that is needed here.
	ErrMissingCapability error = &Error{"missing_capability", "the token lacks a capability that is needed here"}
	// ErrExpired says that the token's time is over.
	ErrExpired error = &Error{"token_expired", "the token has expired"}
	// ErrWrongHost says that the token is bound to another host, or to none where one is needed.
	ErrWrongHost error = &Error{"wrong_host", "the token is not for this host"}
	// ErrWrongPath says that the token is bound to another path, or to none where one is needed.
	ErrWrongPath error = &Error{"wrong_path", "the token is not for this path"}
	// ErrWrongPrice says that the token was sold at another price than the request's.
	ErrWrongPrice error = &Error{"wrong_price", "the token was bought at another price than this request has"}
	// ErrWrongRequest says that the token is bound to another request, or to none.
	ErrWrongRequest error = &Error{"wrong_request", "the token was bought for another request"}
	// ErrRevoked says that the operator revoked the token. Verify knows no revocations; this
	// and the next two are for the state that callers keep.
	ErrRevoked error = &Error{"token_revoked", "the token was revoked"}
	// ErrUsedUp says that no use of the token is left.
	ErrUsedUp error = &Error{"uses_exhausted", "no use of the token is left"}
	// ErrBytesUsedUp says that the token's volume is used up.
	ErrBytesUsedUp error = &Error{"bytes_exhausted", "the token's volume is used up"}
)

// The errors of challenges. ParseChallenges wraps them with what it found.
var (
	// ErrNoChallenge says that an answer carries no L402 or LSAT challenge.
	ErrNoChallenge error = &Error{"no_challenge", "the answer carries no L402 challenge"}
	// ErrMalformedChallenge says that a challenge cannot be read or written.
	ErrMalformedChallenge error = &Error{"malformed_challenge", "the challenge cannot be read"}
	// ErrMalformedInvoice says that an invoice holds characters that no invoice has, so that it
	// must not be put into a header.
	ErrMalformedInvoice error = &Error{"malformed_invoice", "the invoice is not a Lightning payment request"}
)

// Code returns the stable code of err: "" for nil, "internal" for an error that is none of this
// package's or of package payment's.
func Code(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.code
	}
	if e, ok := errors.AsType[*payment.Error](err); ok {
		return e.Code()
	}
	return "internal"
}

// Interface guards
var _ error = (*Error)(nil)
