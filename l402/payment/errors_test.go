package payment

import (
	"errors"
	"fmt"
	"testing"
)

func TestCodes(t *testing.T) {
	for code, err := range map[string]error{
		"malformed_payment_credential": ErrMalformedCredential,
		"payment_credential_too_long":  ErrTooLong,
		"method_unsupported":           ErrMethodUnsupported,
		"invalid_challenge":            ErrInvalidChallenge,
		"no_payment_challenge":         ErrNoChallenge,
		"malformed_payment_challenge":  ErrMalformedChallenge,
	} {
		e, ok := errors.AsType[*Error](fmt.Errorf("doing something: %w", err))
		if !ok || e.Code() != code || e.Error() == "" {
			t.Errorf("%v has another code than %s", err, code)
		}
	}
}
