package payment

// Error is a refusal with a stable code. Its text is a sentence that a client may see: it holds
// nothing of the credential.
type Error struct {
	code string
	text string
}

// Error returns the sentence that says what is wrong.
func (e *Error) Error() string { return e.text }

// Code returns the stable, lower-case code of the refusal.
func (e *Error) Code() string { return e.code }

// The refusals of credentials. They are returned bare.
var (
	// ErrMalformedCredential says that a credential cannot be read: no base64url, no JSON, or
	// a field is missing that every credential has.
	ErrMalformedCredential error = &Error{"malformed_payment_credential", "the Payment credential cannot be read: send Payment <base64url of JSON with challenge and payload>, and 64 lower-case hex digits as the payload's preimage"}
	// ErrTooLong says that a credential is longer than MaxCredential.
	ErrTooLong error = &Error{"payment_credential_too_long", "the Payment credential is too long"}
	// ErrMethodUnsupported says that a credential is of another method or intent than
	// lightning and charge.
	ErrMethodUnsupported error = &Error{"method_unsupported", "the Payment credential is of another method or intent than lightning and charge"}
	// ErrInvalidChallenge says that the challenge in a credential was not made with the
	// secret, or that a part of it was changed.
	ErrInvalidChallenge error = &Error{"invalid_challenge", "the challenge in the Payment credential was not made here or was changed"}
)

// The errors of challenges, wrapped with what was found.
var (
	// ErrNoChallenge says that an answer carries no Payment challenge that could be read.
	ErrNoChallenge error = &Error{"no_payment_challenge", "the answer carries no Payment challenge"}
	// ErrMalformedChallenge says that a challenge must not be written: a required parameter is
	// missing or a parameter holds what it must not.
	ErrMalformedChallenge error = &Error{"malformed_payment_challenge", "the Payment challenge cannot be written"}
)

// Interface guards
var _ error = (*Error)(nil)
