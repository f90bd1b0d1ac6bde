package nwc

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// States of a transaction in NIP-47.
const (
	statePending  = "pending"
	stateSettled  = "settled"
	stateAccepted = "accepted"
	stateExpired  = "expired"
	stateFailed   = "failed"

	typeIncoming = "incoming"
	typeOutgoing = "outgoing"
)

// transaction is an invoice or a payment as NIP-47 writes it. Amounts are in millisatoshi, times
// in seconds since 1970.
type transaction struct {
	Type        string `json:"type"`
	State       string `json:"state"`
	Invoice     string `json:"invoice"`
	Preimage    string `json:"preimage"`
	PaymentHash string `json:"payment_hash"`
	Amount      int64  `json:"amount"`
	CreatedAt   int64  `json:"created_at"`
	ExpiresAt   int64  `json:"expires_at"`
	SettledAt   int64  `json:"settled_at"`
}

// state gives the state in lower case. Wallets older than the field tell it by settled_at only;
// a preimage proves nothing there, since some tell it before the payment.
func (t *transaction) state() string {
	switch {
	case t.State != "":
		return strings.ToLower(t.State)
	case t.SettledAt > 0:
		return stateSettled
	}
	return statePending
}

// preimage gives the preimage, or nil where there is none.
func (t *transaction) preimage(hash lntypes.Hash) (*lntypes.Preimage, error) {
	if t.Preimage == "" {
		return nil, nil
	}
	p, err := lntypes.MakePreimageFromStr(t.Preimage)
	if err != nil || !p.Matches(hash) {
		return nil, errors.New("the preimage is not that of the payment hash")
	}
	return &p, nil
}

// settlement reads a payment that arrived; it gives nil for anything else.
func (t *transaction) settlement() (*wallets.Settlement, error) {
	if t.Type != "" && t.Type != typeIncoming || t.state() != stateSettled {
		return nil, nil
	}
	hash, err := lntypes.MakeHashFromStr(t.PaymentHash)
	if err != nil {
		return nil, errors.New("the payment hash is not 64 hex digits")
	}
	if t.Amount < 0 {
		return nil, errors.New("the amount is negative")
	}
	if _, err := t.preimage(hash); err != nil {
		return nil, err
	}
	return &wallets.Settlement{
		PaymentHash: hash, AmountPaid: lnwire.MilliSatoshi(t.Amount), SettledAt: unixTime(t.SettledAt),
	}, nil
}

// status reads what the wallet says of its invoice over the hash.
func (t *transaction) status(hash lntypes.Hash, now time.Time) (*wallets.Status, error) {
	told, err := lntypes.MakeHashFromStr(t.PaymentHash)
	switch {
	case err != nil:
		return nil, errors.New("the payment hash is not 64 hex digits")
	case told != hash:
		return nil, errors.New("it is about another payment hash")
	case t.Type == typeOutgoing:
		return nil, errors.New("it is about an outgoing payment")
	case t.Amount < 0:
		return nil, errors.New("the amount is negative")
	}
	s := &wallets.Status{}
	var asked lnwire.MilliSatoshi
	if d, err := wallets.DecodeInvoice(t.Invoice); err == nil {
		if d.PaymentHash != hash {
			return nil, errors.New("its invoice has another payment hash")
		}
		s.PaymentRequest, asked = d.PaymentRequest, d.Amount
	}
	expired := t.ExpiresAt > 0 && now.Unix() >= t.ExpiresAt
	switch t.state() {
	case statePending:
		s.State = wallets.StatePending
		// Not at once, since a payment may be on its way and clocks differ.
		if t.ExpiresAt > 0 && now.Unix() >= t.ExpiresAt+int64(time.Minute/time.Second) {
			s.State = wallets.StateExpired
		}
	case stateAccepted:
		s.State, s.AmountPaid = wallets.StateAccepted, lnwire.MilliSatoshi(t.Amount)
	case stateSettled:
		s.State, s.AmountPaid = wallets.StateSettled, lnwire.MilliSatoshi(t.Amount)
		s.SettledAt = unixTime(t.SettledAt)
		if s.AmountPaid < asked {
			return nil, fmt.Errorf("it says settled with %d msat, which is less than the invoice's %d msat",
				uint64(s.AmountPaid), uint64(asked))
		}
		// Told for a settled invoice only: until it is paid it is nobody's business.
		if s.Preimage, err = t.preimage(hash); err != nil {
			return nil, err
		}
	case stateExpired:
		s.State = wallets.StateExpired
	case stateFailed:
		// Nodes cancel what was not paid in time, and wallets call that failed.
		s.State = wallets.StateCanceled
		if expired {
			s.State = wallets.StateExpired
		}
	default:
		return nil, fmt.Errorf("unknown state %q", clean(t.State))
	}
	return s, nil
}

func unixTime(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}
