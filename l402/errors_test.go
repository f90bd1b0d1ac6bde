package l402

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// codes lists every sentinel with its code, which clients rely on.
var codes = map[string]error{
	"no_credential":        ErrNoCredential,
	"malformed_credential": ErrMalformedCredential,
	"token_too_long":       ErrTokenTooLong,
	"malformed_token":      ErrMalformedToken,
	"unsupported_version":  ErrUnsupportedVersion,
	"unknown_key":          ErrUnknownKey,
	"preimage_missing":     ErrPreimageMissing,
	"preimage_mismatch":    ErrPreimageMismatch,
	"bad_signature":        ErrBadSignature,
	"malformed_caveat":     ErrMalformedCaveat,
	"unknown_caveat":       ErrUnknownCaveat,
	"conflicting_caveats":  ErrConflictingCaveats,
	"no_services":          ErrNoServices,
	"wrong_service":        ErrWrongService,
	"wrong_tier":           ErrWrongTier,
	"missing_capability":   ErrMissingCapability,
	"token_expired":        ErrExpired,
	"wrong_host":           ErrWrongHost,
	"wrong_path":           ErrWrongPath,
	"wrong_price":          ErrWrongPrice,
	"wrong_request":        ErrWrongRequest,
	"token_revoked":        ErrRevoked,
	"uses_exhausted":       ErrUsedUp,
	"bytes_exhausted":      ErrBytesUsedUp,
	"no_challenge":         ErrNoChallenge,
	"malformed_challenge":  ErrMalformedChallenge,
	"malformed_invoice":    ErrMalformedInvoice,
}

func TestCodes(t *testing.T) {
	texts := map[string]string{}
	for code, err := range codes {
		if got := Code(err); got != code {
			t.Errorf("code of %v is %q, want %q", err, got, code)
		}
		wrapped := fmt.Errorf("doing something: %w", err)
		if got := Code(wrapped); got != code || !errors.Is(wrapped, err) {
			t.Errorf("code of the wrapped %v is %q, want %q", err, got, code)
		}
		if other := texts[err.Error()]; other != "" {
			t.Errorf("%s and %s have the same text", code, other)
		}
		texts[err.Error()] = code
		if len(err.Error()) < 15 || strings.HasSuffix(err.Error(), ".") {
			t.Errorf("%s: %q is no sentence without a full stop", code, err)
		}
		for otherCode, other := range codes {
			if errors.Is(err, other) != (code == otherCode) {
				t.Errorf("errors.Is mixes up %s and %s", code, otherCode)
			}
		}
	}
	if got := Code(nil); got != "" {
		t.Errorf("code of nil is %q", got)
	}
	if got := Code(io.EOF); got != "internal" {
		t.Errorf("code of a foreign error is %q", got)
	}
	if e, ok := errors.AsType[*Error](ErrExpired); !ok || e.Code() != "token_expired" {
		t.Errorf("ErrExpired is %v", e)
	}
}
