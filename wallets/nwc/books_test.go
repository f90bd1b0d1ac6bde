package nwc

import (
	"errors"
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func text(params map[string]any, name string) string {
	v, _ := params[name].(string)
	return v
}

func number(params map[string]any, name string) int64 {
	v, _ := params[name].(float64)
	return int64(v)
}

func (s *service) do(method string, params map[string]any, fault wallettest.Fault) (any, error) {
	switch method {
	case methodGetInfo:
		return map[string]any{"alias": "double", "network": "regtest", "methods": s.methods}, nil
	case methodMake, methodMakeHold:
		return s.make(params, fault)
	case methodLookup:
		hash, err := lntypes.MakeHashFromStr(text(params, "payment_hash"))
		if err != nil {
			return nil, err
		}
		if b := s.books[hash]; b != nil {
			return s.write(b), nil
		}
		return nil, &walletError{code: codeNotFound, message: "no such invoice"}
	case methodList:
		return s.list(params), nil
	case methodPay:
		preimage, ok := s.dues[text(params, "invoice")]
		if !ok {
			return nil, &walletError{code: codePaymentFailed, message: "no route"}
		}
		return map[string]any{"preimage": preimage.String(), "fees_paid": 1}, nil
	case methodSettleHold:
		preimage, err := lntypes.MakePreimageFromStr(text(params, "preimage"))
		if err != nil {
			return nil, err
		}
		b := s.books[preimage.Hash()]
		if b == nil || b.state != stateAccepted {
			return nil, &walletError{code: codeNotFound, message: "no such payment"}
		}
		b.preimage, b.state, b.settled = preimage, stateSettled, time.Now()
		return map[string]any{}, nil
	case methodCancelHold:
		hash, err := lntypes.MakeHashFromStr(text(params, "payment_hash"))
		if err != nil {
			return nil, err
		}
		b := s.books[hash]
		if b == nil {
			return nil, &walletError{code: codeNotFound, message: "no such invoice"}
		}
		b.state = stateFailed
		return map[string]any{}, nil
	}
	return nil, errors.New("the double lacks " + method)
}

func (s *service) make(params map[string]any, fault wallettest.Fault) (any, error) {
	terms := wallettest.Terms{
		Amount: lnwire.MilliSatoshi(number(params, "amount")), Memo: text(params, "description"),
		Expiry: time.Duration(number(params, "expiry")) * time.Second, Fault: fault,
	}
	hold := text(params, "payment_hash") != ""
	if hold {
		hash, err := lntypes.MakeHashFromStr(text(params, "payment_hash"))
		if err != nil {
			return nil, err
		}
		terms.Hash = &hash
	}
	issued, err := s.node.Issue(terms)
	if err != nil {
		return nil, err
	}
	b := &booked{issued: issued, preimage: issued.Preimage, hold: hold, state: statePending}
	if _, again := s.books[issued.Hash]; !again {
		s.books[issued.Hash] = b
		s.order = append(s.order, b)
	}
	return s.write(b), nil
}

// write is a transaction as the service tells it.
func (s *service) write(b *booked) map[string]any {
	t := map[string]any{
		"type": typeIncoming, "invoice": b.issued.Invoice, "payment_hash": b.issued.Hash.String(),
		"amount": uint64(b.issued.Amount), "created_at": b.issued.CreatedAt.Unix(),
		"expires_at": b.issued.ExpiresAt.Unix(), "preimage": "", "fees_paid": 0, "metadata": map[string]any{},
		"settled_at": nil,
	}
	if !s.terse {
		t["state"] = b.state
	}
	if b.state == stateSettled {
		t["settled_at"], t["preimage"] = b.settled.Unix(), b.preimage.String()
	}
	return t
}

func (s *service) list(params map[string]any) any {
	for _, name := range s.ignores {
		delete(params, name)
	}
	from, offset, limit := number(params, "from"), int(number(params, "offset")), int(number(params, "limit"))
	out := []any{}
	for _, b := range slices.Backward(s.order) {
		if b.state != stateSettled || b.issued.CreatedAt.Unix() < from {
			continue
		}
		if offset > 0 {
			offset--
			continue
		}
		if len(out) < limit {
			out = append(out, s.write(b))
		}
	}
	return map[string]any{"transactions": out}
}
