package caddyl402

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/internal/purses"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// The codes of problems that are about ecash. They are stable.
const (
	codeEcashMalformed   = "ecash_malformed"
	codeEcashMint        = "ecash_mint"
	codeEcashUnit        = "ecash_unit"
	codeEcashAmount      = "ecash_amount"
	codeEcashLock        = "ecash_lock"
	codeEcashDLEQ        = "ecash_dleq"
	codeEcashSpent       = "ecash_spent"
	codeEcashElsewhere   = "ecash_elsewhere"
	codeEcashRefused     = "ecash_refused"
	codeEcashPrice       = "ecash_price"
	codeEcashUnavailable = "ecash_unavailable"
	codeEcashDisputed    = "ecash_disputed"
)

// The refusals that are not the purse's.
var (
	errSeveralTokens = errors.New("several tokens of ecash")
	errNotForEcash   = errors.New("the price is no whole number of the unit")
	errTillBusy      = errors.New("too many payments wait for mints")
)

const (
	cureEcash     = "Send ecash as the header X-Cashu of this answer asks for, as `X-Cashu: cashuB…`."
	cureEcashForm = "Go back and put in other ecash, or pay the Lightning invoice there."
	cureOther     = "Pay with other ecash, or pay the Lightning invoice that a request without ecash gets."
)

// ecashProblems are the refusals of ecash, the first that fits. What the mint may have done without
// telling comes before what it said.
var ecashProblems = []struct {
	errs         []error
	status       int
	code         string
	detail, cure string
}{
	{[]error{purse.ErrDisputed}, http.StatusBadGateway, codeEcashDisputed,
		"The mint took the ecash and gave none for it.", "Complain to the mint, and tell whoever runs this service."},
	{[]error{purse.ErrUnsettled, purse.ErrStore, wallets.ErrUnavailable, wallets.ErrRateLimited, purses.ErrFull, errTillBusy,
		context.DeadlineExceeded, context.Canceled}, http.StatusServiceUnavailable, codeEcashUnavailable,
		"The ecash could not be taken now: the mint does not answer in time, or what it answered could not be written down.",
		"Send the same ecash again after the time that Retry-After tells. It is not lost: it is still yours, or it has paid."},
	{[]error{errSeveralTokens}, http.StatusBadRequest, codeEcashMalformed,
		"The request carries several tokens of ecash.", "Send one token of one mint."},
	{[]error{errNotForEcash}, http.StatusBadRequest, codeEcashPrice,
		"What this request costs cannot be paid with ecash.", "Pay the Lightning invoice that a request without ecash gets."},
	{[]error{errElsewhere}, http.StatusBadRequest, codeEcashElsewhere,
		errElsewhere.Error(), "Send it to where it was sent first, or pay with other ecash."},
	{[]error{purse.ErrForeignMint, token.ErrSeveralMints}, http.StatusBadRequest, codeEcashMint,
		"Ecash of this mint is not taken here.", cureEcash},
	{[]error{mint.ErrUnit, mint.ErrNoKeyset}, http.StatusBadRequest, codeEcashUnit,
		"The ecash is of another unit than the one that is asked for.", cureEcash},
	{[]error{purse.ErrTooLittle}, http.StatusBadRequest, codeEcashAmount,
		"The ecash is worth too little, after what the mint takes for itself.", cureEcash + " Add the mint's fee."},
	{[]error{token.ErrLock, token.ErrNotOurs, token.ErrNotLocked, token.ErrTakeBack, token.ErrWitness, purse.ErrBound}, http.StatusBadRequest, codeEcashLock,
		"The ecash is locked in a way that this server cannot spend.", cureEcash},
	{[]error{ecash.ErrDLEQ}, http.StatusBadRequest, codeEcashDLEQ,
		"The ecash comes without a proof that its mint signed it, or with a wrong one.", "Send ecash with its DLEQ proofs (NUT-12)."},
	{[]error{purse.ErrSpent, mint.ErrSpent, mint.ErrPending}, http.StatusBadRequest, codeEcashSpent,
		"The ecash was spent before.", cureOther},
	{[]error{token.ErrMalformed, token.ErrTooLarge, token.ErrAmount, token.ErrDuplicate, ecash.ErrKeyset, ecash.ErrUnknownKeyset,
		ecash.ErrAmbiguous, ecash.ErrPoint, ecash.ErrScalar}, http.StatusBadRequest, codeEcashMalformed,
		"The header holds no ecash that could be good.", cureEcash},
	{[]error{mint.ErrRefused}, http.StatusBadRequest, codeEcashRefused,
		"The mint refuses the ecash.", cureOther},
	{[]error{wallets.ErrBadAnswer}, http.StatusBadGateway, codeEcashDisputed,
		"The mint answered what is no answer.", cureOther},
}

// ecashRefused is the problem for ecash that was not taken.
func ecashRefused(err error) *paywall.Problem {
	p := &paywall.Problem{
		Status: http.StatusServiceUnavailable, Code: codeEcashUnavailable,
		Detail: "Something here went wrong.", Cure: "Send the same ecash again after the time that Retry-After tells.",
	}
find:
	for _, problem := range ecashProblems {
		for _, target := range problem.errs {
			if errors.Is(err, target) {
				p.Status, p.Code, p.Detail, p.Cure = problem.status, problem.code, problem.detail, problem.cure
				break find
			}
		}
	}
	p.Title = "Ecash Not Taken"
	if p.Status == http.StatusServiceUnavailable {
		p.Title, p.RetryAfter = "Payments Unavailable", 2*time.Second
	}
	return p
}

// tooMuchEcash is the 429 for a client whose ecash was refused too often.
func tooMuchEcash(wait time.Duration) *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusTooManyRequests, Title: "Too Many Requests", Code: codeTooMany,
		Detail: "This client sent too much that was refused. The ecash was not looked at and is still yours.",
		Cure:   cureLater + " A request with a valid token passes at any time.", RetryAfter: wait,
	}
}
