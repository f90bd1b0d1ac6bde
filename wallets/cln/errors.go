package cln

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets"
)

var (
	// ErrRefused says that the node understood the call and will not do it.
	ErrRefused = errors.New("CLN refuses")
	// ErrNoMethod says that the node has no such command: it is too old, or the plugin that
	// brings the command is not running.
	ErrNoMethod = errors.New("CLN has no such command")
	// ErrOffer says that no invoice could be had for an offer. It comes with one of the
	// sentinels of package wallets.
	ErrOffer = errors.New("the offer gave no invoice")
)

// RPCError is an error that the node itself reported.
type RPCError struct {
	// Code is the node's number for it, zero where it gave none.
	Code int
	// Message is the node's text, without anything that could be a secret.
	Message string
}

// Error gives code and text.
func (e *RPCError) Error() string {
	if e.Code == 0 {
		return e.Message
	}
	return fmt.Sprintf("%s (code %d)", e.Message, e.Code)
}

// Codes of Core Lightning's command reference.
const (
	codeNoMethod       = -32601
	codeInvalidParams  = -32602
	codeInvalidRequest = -32600
	codePluginGone     = -4
	codeShutdown       = -5

	codeInProgress        = 200
	codeRouteNotFound     = 205
	codeRouteTooExpensive = 206
	codeInvoiceExpired    = 207
	codeNoFunds           = 215

	codeLabelExists    = 900
	codePreimageExists = 901
	codeNoHints        = 902
	codeWaitTimedOut   = 904
	codeNoInvoice      = 905
	codeOfferInactive  = 907

	codeOfferExpired  = 1002
	codeOfferNoRoute  = 1003
	codeOfferRefused  = 1004
	codeOfferTimeout  = 1005
	codeOfferUsed     = 1007
	codeRuneForeign   = 1501
	codeRuneTooNarrow = 1502
	codeRuneBlocked   = 1503
)

// meanings says which sentinel a code stands for and what to do about it.
var meanings = map[int]struct {
	err  error
	cure string
}{
	codeNoMethod:       {ErrNoMethod, "update CLN, or see whether its plugin runs"},
	codeInvalidParams:  {ErrRefused, ""},
	codeInvalidRequest: {ErrRefused, ""},
	codePluginGone:     {wallets.ErrUnavailable, "the command's plugin ended, see the node's log"},
	codeShutdown:       {wallets.ErrUnavailable, "the node is shutting down"},
	codeLabelExists:    {ErrRefused, ""},
	codePreimageExists: {ErrRefused, ""},
	codeNoHints:        {ErrRefused, "none of its channels can receive"},
	codeNoInvoice:      {wallets.ErrNotFound, ""},
	codeOfferInactive:  {ErrOffer, "enable the offer or make a new one"},
	codeOfferExpired:   {ErrOffer, "it has expired: make a new one"},
	codeOfferNoRoute:   {ErrOffer, "no path for messages to its node: connect to it or open a channel"},
	codeOfferRefused:   {ErrOffer, "its node refused"},
	codeOfferTimeout:   {ErrOffer, "its node did not answer in time"},
	codeOfferUsed:      {ErrOffer, "it was for a single use: make one for many"},
	codeRuneForeign:    {wallets.ErrUnauthorized, "the rune is not of this node: make one with createrune"},
	codeRuneTooNarrow:  {wallets.ErrUnauthorized, "the rune does not allow this: make a wider one with createrune"},
	codeRuneBlocked:    {wallets.ErrUnauthorized, "the rune is on the node's black list: make another with createrune"},
}

// classify gives an error of the node the sentinel that its code means. Codes that are not listed
// are refusals.
func classify(err error) error {
	var e *RPCError
	if !errors.As(err, &e) || isSentinel(err) {
		return err
	}
	m, ok := meanings[e.Code]
	switch {
	case e.Code == codeRuneTooNarrow && tooSoon(e.Message):
		return fmt.Errorf("%w: the rune is limited in rate: make one without rate and per: %w",
			wallets.ErrRateLimited, e)
	case !ok:
		return fmt.Errorf("%w: %w", ErrRefused, e)
	case m.err == ErrOffer:
		return fmt.Errorf("%w: %w: %s: %w", wallets.ErrUnavailable, ErrOffer, m.cure, e)
	case m.cure != "":
		return fmt.Errorf("%w: %s: %w", m.err, m.cure, e)
	}
	return fmt.Errorf("%w: %w", m.err, e)
}

// tooSoon tells the refusal of a rune for its rate from that for its reach, which have one code.
func tooSoon(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "too soon") || strings.Contains(message, "rate")
}

func isSentinel(err error) bool {
	for _, s := range []error{
		wallets.ErrUnavailable, wallets.ErrUnauthorized, wallets.ErrBadAnswer, wallets.ErrRateLimited,
	} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

// code gives the node's code within an error, or zero.
func code(err error) int {
	if e := (*RPCError)(nil); errors.As(err, &e) {
		return e.Code
	}
	return 0
}
