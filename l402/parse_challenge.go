package l402

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-l402/caddy-l402/l402/internal/authparam"
)

// MaxChallenges is the greatest number of challenges that ParseChallenges reads from an answer.
const MaxChallenges = 16

// ParseChallenges reads the L402 and LSAT challenges from the WWW-Authenticate lines of an answer,
// in their order and each only once. It takes what servers are known to write: parameters in any
// order, quoted or not, separated by commas or only blanks, the token under the name token or
// macaroon, several challenges in one line, other schemes among them.
//
// A challenge that cannot be read is passed over as long as another one can. With none left the
// error wraps ErrMalformedChallenge, or ErrNoChallenge if there was none. Neither token nor invoice
// is checked beyond their encoding: a server's token need not be one of this package's.
func ParseChallenges(h http.Header) ([]Challenge, error) {
	var all []Challenge
	var malformed []error
	text := 0
	for _, line := range h.Values("WWW-Authenticate") {
		if text += len(line); text > MaxHeaderText {
			malformed = append(malformed, fmt.Errorf("%w: more than %d bytes", ErrMalformedChallenge, MaxHeaderText))
			break
		}
		for rest := line; rest != "" && len(all)+len(malformed) < MaxChallenges; {
			var params challengeParams
			if params, rest = nextChallenge(rest); !params.ours {
				continue
			}
			c, err := params.challenge()
			switch {
			case err != nil:
				malformed = append(malformed, err)
			case !slices.ContainsFunc(all, c.equal):
				all = append(all, c)
			}
		}
	}
	switch {
	case len(all) > 0:
		return all, nil
	case len(malformed) > 0:
		return nil, errors.Join(malformed...)
	}
	return nil, ErrNoChallenge
}

func (c Challenge) equal(other Challenge) bool {
	return c.Invoice == other.Invoice && bytes.Equal(c.Macaroon, other.Macaroon)
}

// challengeParams is a challenge as it stands in the line.
type challengeParams struct {
	ours                     bool // the scheme is L402 or LSAT
	token, macaroon, invoice string
}

// challenge turns the parameters into a Challenge. If both names of the token are given, they must
// agree: paying for one token and presenting another would lose the money.
func (p *challengeParams) challenge() (Challenge, error) {
	text := p.macaroon
	if text == "" {
		text = p.token
	}
	if text == "" {
		return Challenge{}, fmt.Errorf("%w: no parameter macaroon or token", ErrMalformedChallenge)
	}
	mac, err := DecodeMacaroon(text)
	if err != nil {
		return Challenge{}, fmt.Errorf("%w: its token: %w", ErrMalformedChallenge, err)
	}
	if p.token != "" && p.token != text {
		if other, err := DecodeMacaroon(p.token); err != nil || !bytes.Equal(mac, other) {
			return Challenge{}, fmt.Errorf("%w: its parameters macaroon and token differ", ErrMalformedChallenge)
		}
	}
	if p.invoice == "" {
		return Challenge{}, fmt.Errorf("%w: no parameter invoice", ErrMalformedChallenge)
	}
	if !ValidInvoice(p.invoice) {
		return Challenge{}, fmt.Errorf("%w: %w", ErrMalformedChallenge, ErrMalformedInvoice)
	}
	return Challenge{Macaroon: mac, Invoice: p.invoice}, nil
}

// nextChallenge reads the scheme at the beginning of line and its parameters up to the next scheme.
func nextChallenge(line string) (p challengeParams, rest string) {
	name, rest := authparam.Next(line, p.set)
	p.ours = schemeOf(name).own()
	return p, rest
}

// set keeps the first value of each parameter.
func (p *challengeParams) set(name, value string) {
	keep := func(to *string) {
		if *to == "" {
			*to = value
		}
	}
	switch {
	case strings.EqualFold(name, "token"):
		keep(&p.token)
	case strings.EqualFold(name, "macaroon"):
		keep(&p.macaroon)
	case strings.EqualFold(name, "invoice"):
		keep(&p.invoice)
	}
}
