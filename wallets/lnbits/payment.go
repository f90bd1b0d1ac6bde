package lnbits

import (
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

// The states of a payment.
const (
	statePending = "pending"
	stateSuccess = "success"
	stateFailed  = "failed"
)

// payment is a payment as LNbits tells it, to the wallet or from it.
type payment struct {
	PaymentHash string `json:"payment_hash"`
	Bolt11      string `json:"bolt11"`
	// Amount is in millisatoshi, and negative for a payment from the wallet.
	Amount    int64  `json:"amount"`
	Status    string `json:"status"`
	Preimage  string `json:"preimage"`
	Expiry    stamp  `json:"expiry"`
	Time      stamp  `json:"time"`
	UpdatedAt stamp  `json:"updated_at"`
}

// settledAt is when LNbits last wrote to a settled payment, which it rarely does again.
func (p *payment) settledAt() time.Time {
	if t := time.Time(p.UpdatedAt); !t.IsZero() {
		return t
	}
	return time.Time(p.Time)
}

// hash is the payment hash.
func (p *payment) hash() (lntypes.Hash, error) { return lntypes.MakeHashFromStr(p.PaymentHash) }

// received is the amount of a payment to the wallet, or zero.
func (p *payment) received() lnwire.MilliSatoshi {
	if p.Amount <= 0 {
		return 0
	}
	return lnwire.MilliSatoshi(p.Amount)
}

// incoming reads the state of an invoice of the wallet.
func (p *payment) incoming(hash lntypes.Hash, now time.Time) (*wallets.Status, error) {
	st := &wallets.Status{PaymentRequest: p.Bolt11}
	expiry := time.Time(p.Expiry)
	expired := !expiry.IsZero() && !now.Before(expiry)
	switch {
	case p.Status == stateSuccess:
		st.State = wallets.StateSettled
		st.AmountPaid = p.received()
		st.SettledAt = p.settledAt()
		// A payment within the server may have none, or one of zeros.
		st.Preimage = restpeer.Proof(p.Preimage, hash)
	case p.Status != statePending && p.Status != stateFailed:
		return nil, errors.New("unknown status of a payment")
	case expired:
		st.State = wallets.StateExpired
	case p.Status == stateFailed:
		st.State = wallets.StateCanceled
	default:
		st.State = wallets.StatePending
	}
	return st, nil
}

// stamp is a point in time: a text in the form of RFC 3339, where the zone may be missing and is UTC
// then, or a number of seconds since 1970. What cannot be read is the zero time, since no answer
// is worth refusing for it.
type stamp time.Time

// UnmarshalJSON implements json.Unmarshaler.
func (s *stamp) UnmarshalJSON(b []byte) error {
	*s = stamp{}
	var seconds float64
	if json.Unmarshal(b, &seconds) == nil {
		if seconds > 0 && seconds < 1<<40 {
			whole, part := math.Modf(seconds)
			*s = stamp(time.Unix(int64(whole), int64(part*1e9)))
		}
		return nil
	}
	var text string
	if json.Unmarshal(b, &text) != nil {
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			*s = stamp(t)
			break
		}
	}
	return nil
}

var _ json.Unmarshaler = (*stamp)(nil)
