package clntest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// object is a JSON object of an answer.
type object = map[string]any

type params map[string]json.RawMessage

// commands are what the node can do, with the parameters that each takes; those of the first list
// are required.
var commands = map[string]struct {
	required, optional []string
	run                func(*Node, context.Context, params) (object, *Error)
}{
	"invoice": {
		[]string{"amount_msat", "label", "description"},
		[]string{"expiry", "fallbacks", "preimage", "exposeprivatechannels", "cltv", "deschashonly"},
		(*Node).invoice,
	},
	"listinvoices": {
		nil, []string{"label", "invstring", "payment_hash", "offer_id", "index", "start", "limit"},
		(*Node).listInvoices,
	},
	"waitanyinvoice": {nil, []string{"lastpay_index", "timeout"}, (*Node).waitAnyInvoice},
	"fetchinvoice": {
		[]string{"offer"},
		[]string{"amount_msat", "quantity", "recurrence_counter", "recurrence_start",
			"recurrence_label", "timeout", "payer_note", "payer_metadata", "bip353"},
		(*Node).fetchInvoice,
	},
	"xpay": {
		[]string{"invstring"},
		[]string{"amount_msat", "maxfee", "layers", "retry_for", "partial_msat", "maxdelay", "payer_note"},
		(*Node).xpay,
	},
	"pay": {
		[]string{"bolt11"},
		[]string{"amount_msat", "label", "riskfactor", "maxfeepercent", "retry_for", "maxdelay",
			"exemptfee", "localinvreqid", "exclude", "maxfee", "description", "partial_msat"},
		(*Node).pay,
	},
	"listpays": {nil, []string{"bolt11", "payment_hash", "status", "index", "start", "limit"}, (*Node).listPays},
}

func (n *Node) has(method string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := commands[method]
	return ok && !n.hidden[method]
}

// run runs a command.
func (n *Node) run(ctx context.Context, method string, p params) (object, *Error) {
	n.mu.Lock()
	n.calls = append(n.calls, Call{method, p})
	before := n.before
	n.mu.Unlock()
	if before != nil {
		if e := before(Call{method, p}); e != nil {
			return nil, e
		}
	}
	if !n.has(method) {
		return nil, &Error{-32601, fmt.Sprintf("Unknown command '%s'", method)}
	}
	c := commands[method]
	for _, name := range c.required {
		if _, ok := p[name]; !ok {
			return nil, &Error{-32602, "missing required parameter: " + name}
		}
	}
	for name := range p {
		if !slices.Contains(c.required, name) && !slices.Contains(c.optional, name) {
			return nil, &Error{-32602, "unknown parameter: " + name}
		}
	}
	return c.run(n, ctx, p)
}

// number reads a parameter that is a whole number; a missing one is absent.
func (p params) number(name string, absent uint64) (uint64, *Error) {
	raw, ok := p[name]
	if !ok {
		return absent, nil
	}
	v, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, &Error{-32602, fmt.Sprintf("%s: should be an unsigned 64 bit integer: invalid token '%s'", name, raw)}
	}
	return v, nil
}

// text reads a parameter that is a string, the way Core Lightning does: without \u.
func (p params) text(name string) (string, *Error) {
	raw := p[name]
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] == '\\' {
			if raw[i+1] == 'u' {
				return "", &Error{-32602, name + ": should be a valid string (without \\u): invalid token"}
			}
			i++
		}
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", &Error{-32602, name + ": should be a string: invalid token"}
	}
	return s, nil
}

func (p params) hash(name string) (lntypes.Hash, *Error) {
	s, e := p.text(name)
	if e != nil {
		return lntypes.Hash{}, e
	}
	h, err := lntypes.MakeHashFromStr(s)
	if err != nil {
		return h, &Error{-32602, name + ": should be a 32 byte hex value: invalid token"}
	}
	return h, nil
}

func (n *Node) invoice(_ context.Context, p params) (object, *Error) {
	amount, e := p.number("amount_msat", 0)
	if e == nil && amount == 0 {
		e = &Error{-32602, "amount_msat: should be positive msat or 'any': invalid token '0'"}
	}
	var label, description string
	if e == nil {
		label, e = p.text("label")
	}
	if e == nil {
		description, e = p.text("description")
	}
	if e == nil && len(description) > 639 {
		e = &Error{-32602, "Descriptions greater than 639 bytes not yet supported"}
	}
	var expiry uint64
	if e == nil {
		expiry, e = p.number("expiry", 604800)
	}
	if e != nil {
		return nil, e
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.invoices {
		if r.label == label {
			return nil, &Error{900, "Duplicate label '" + label + "'"}
		}
	}
	issued, err := n.local.Issue(wallettest.Terms{
		Amount: lnwire.MilliSatoshi(amount), Memo: description,
		Expiry: time.Duration(expiry) * time.Second, Fault: n.fault,
	})
	if err != nil {
		return nil, &Error{-1, "Failed to create invoice"}
	}
	r := &record{
		label: label, description: description, bolt11: issued.Invoice, hash: issued.Hash,
		preimage: issued.Preimage, amount: issued.Amount, status: "unpaid",
		expires: issued.ExpiresAt, createdIdx: uint64(len(n.invoices) + 1),
	}
	n.invoices = append(n.invoices, r)
	out := object{
		"bolt11": r.bolt11, "payment_hash": r.hash.String(), "expires_at": r.expires.Unix(),
		"created_index": r.createdIdx, "payment_secret": strings.Repeat("5e", 32),
	}
	if n.warning != "" {
		out[n.warning] = "Insufficient incoming capacity"
	}
	return out, nil
}

// object writes a record as listinvoices does.
func (r *record) object() object {
	out := object{
		"label": r.label, "description": r.description, "payment_hash": r.hash.String(),
		"status": r.status, "expires_at": r.expires.Unix(), "amount_msat": uint64(r.amount),
		"created_index": r.createdIdx,
	}
	if r.bolt11 != "" {
		out["bolt11"] = r.bolt11
	} else {
		out["bolt12"] = r.bolt12
	}
	if r.status == "paid" {
		out["pay_index"] = r.payIndex
		out["amount_received_msat"] = uint64(r.received)
		out["paid_at"] = r.paidAt.Unix()
		out["payment_preimage"] = r.preimage.String()
	}
	return out
}

func (n *Node) listInvoices(_ context.Context, p params) (object, *Error) {
	hash, e := p.hash("payment_hash")
	if e != nil {
		return nil, e
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	list := []object{}
	if r := n.find(hash); r != nil {
		list = append(list, r.object())
	}
	return object{"invoices": list}, nil
}

func (n *Node) waitAnyInvoice(ctx context.Context, p params) (object, *Error) {
	last, e := p.number("lastpay_index", 0)
	if e != nil {
		return nil, e
	}
	seconds, e := p.number("timeout", 1<<30)
	if e != nil {
		return nil, e
	}
	timer := time.NewTimer(time.Duration(seconds) * time.Second)
	defer timer.Stop()
	for {
		n.mu.Lock()
		var next *record
		for _, r := range n.invoices {
			if r.payIndex > last && (next == nil || r.payIndex < next.payIndex) {
				next = r
			}
		}
		var out object
		if next != nil {
			out = next.object()
		}
		changed := n.changed
		n.mu.Unlock()
		if out != nil {
			return out, nil
		}
		if seconds == 0 {
			return nil, &Error{904, "Timed out"}
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil, &Error{904, "Timed out"}
		case <-ctx.Done():
			return nil, &Error{-5, "lightningd shutting down"}
		}
	}
}

func (n *Node) xpay(_ context.Context, p params) (object, *Error) {
	out, e := n.send(p, "invstring")
	if e != nil {
		return nil, e
	}
	out["failed_parts"], out["successful_parts"] = 0, 1
	return out, nil
}

func (n *Node) pay(_ context.Context, p params) (object, *Error) {
	out, e := n.send(p, "bolt11")
	if e != nil {
		return nil, e
	}
	out["status"] = "complete"
	return out, nil
}

func (n *Node) send(p params, name string) (object, *Error) {
	text, e := p.text(name)
	if e != nil {
		return nil, e
	}
	if _, e = p.number("maxfee", 5000); e != nil {
		return nil, e
	}
	if _, e = p.number("retry_for", 60); e != nil {
		return nil, e
	}
	d, err := wallets.DecodeInvoice(text)
	if err != nil {
		return nil, &Error{-32602, "Invalid invoice: " + text}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	preimage, ok := n.preimages[d.PaymentHash]
	if !ok {
		return nil, &Error{205, "Failed: unknown destination"}
	}
	if n.pays[d.PaymentHash] == "complete" {
		return nil, &Error{219, "Already paid"}
	}
	n.pays[d.PaymentHash] = "complete"
	return object{
		"payment_preimage": hex.EncodeToString(preimage[:]),
		"amount_msat":      uint64(d.Amount), "amount_sent_msat": uint64(d.Amount),
	}, nil
}

func (n *Node) listPays(_ context.Context, p params) (object, *Error) {
	hash, e := p.hash("payment_hash")
	if e != nil {
		return nil, e
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	list := []object{}
	if status := n.pays[hash]; status != "" {
		pay := object{"payment_hash": hash.String(), "status": status, "created_at": time.Now().Unix(), "created_index": 1}
		if status == "complete" {
			preimage := n.preimages[hash]
			pay["preimage"] = hex.EncodeToString(preimage[:])
		}
		list = append(list, pay)
	}
	return object{"pays": list}, nil
}
