package payment

// The types of problems (RFC 9457) of the scheme. All come with status 402, but
// ProblemMethodUnsupported, which comes with 400.
const (
	problems = "https://paymentauth.org/problems/"

	// ProblemPaymentRequired is for a request without a credential.
	ProblemPaymentRequired = problems + "payment-required"
	// ProblemPaymentInsufficient is for a credential that was bought at another price.
	ProblemPaymentInsufficient = problems + "payment-insufficient"
	// ProblemPaymentExpired is for a credential whose time is over.
	ProblemPaymentExpired = problems + "payment-expired"
	// ProblemVerificationFailed is for a proof that is none, or not for this request.
	ProblemVerificationFailed = problems + "verification-failed"
	// ProblemMalformedCredential is for a credential that cannot be read.
	ProblemMalformedCredential = problems + "malformed-credential"
	// ProblemInvalidChallenge is for a challenge that is unknown, changed or used up.
	ProblemInvalidChallenge = problems + "invalid-challenge"
	// ProblemMethodUnsupported is for another method or intent.
	ProblemMethodUnsupported = problems + "method-unsupported"
)
