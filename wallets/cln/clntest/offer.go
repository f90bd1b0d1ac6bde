package clntest

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/bolt12"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// Offer is a BOLT 12 offer that the node knows. Its owner may be the node or another one.
type Offer struct {
	// Text is the offer.
	Text string
	// Records are its fields.
	Records []bolt12.Record
	// Key signs its invoices.
	Key *btcec.PrivateKey
	// Foreign says that another node owns the offer, so that this one does not know the
	// invoices.
	Foreign bool
	// Alter may change the fields of each invoice before it is signed.
	Alter func([]bolt12.Record) []bolt12.Record
	// Delay is how long the owner takes to answer.
	Delay time.Duration
}

// AddOffer makes an offer over the fields, which get the issuer's key (22), a description (10) and
// the chain (2) where they lack those. Change it only before it is used.
func (n *Node) AddOffer(t testing.TB, records ...bolt12.Record) *Offer {
	t.Helper()
	add := func(typ uint64, value []byte) {
		if _, ok := bolt12.Find(records, typ); !ok {
			records = append(records, bolt12.Record{Type: typ, Value: value})
		}
	}
	if _, ok := bolt12.Find(records, 16); !ok {
		add(22, n.issuer.PubKey().SerializeCompressed())
	}
	add(10, []byte("an offer"))
	if !n.network.IsRealMoney() {
		add(2, n.network.Params().GenesisHash[:])
	}
	text := bolt12.EncodeText("lno", bolt12.Serialize(records))
	o := &Offer{Text: text, Records: records, Key: n.issuer}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.offers[text] = o
	return o
}

func (n *Node) fetchInvoice(ctx context.Context, p params) (object, *Error) {
	text, e := p.text("offer")
	if e != nil {
		return nil, e
	}
	seconds, e := p.number("timeout", 60)
	if e != nil {
		return nil, e
	}
	amount, e := p.number("amount_msat", 0)
	if e != nil {
		return nil, e
	}
	n.mu.Lock()
	o := n.offers[text]
	n.mu.Unlock()
	switch {
	case o == nil:
		return nil, &Error{1003, "Could not find route, could not connect"}
	case amount == 0:
		return nil, &Error{-32602, "amount_msat parameter required"}
	}
	late := o.Delay > time.Duration(seconds)*time.Second
	timer := time.NewTimer(min(o.Delay, time.Duration(seconds)*time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		late = true
	}
	if late {
		return nil, &Error{1005, "Timeout waiting for response"}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fault.Kind == wallettest.DuplicateHash && n.lastOffer != "" {
		return object{"invoice": n.lastOffer, "changes": object{}}, nil
	}
	invoice, r, err := n.answer(o, lnwire.MilliSatoshi(amount))
	if err != nil {
		return nil, &Error{1004, "Remote node sent failure message"}
	}
	n.lastOffer = invoice
	if !o.Foreign {
		n.invoices = append(n.invoices, r)
	}
	return object{"invoice": invoice, "changes": object{}}, nil
}

// answer makes the invoice that the owner of the offer sends; n.mu is held.
func (n *Node) answer(o *Offer, amount lnwire.MilliSatoshi) (string, *record, error) {
	var preimage lntypes.Preimage
	_, _ = rand.Read(preimage[:]) // never fails
	hash := preimage.Hash()
	payee := o.Key.PubKey().SerializeCompressed()
	now := time.Now()
	payer, err := btcec.NewPrivateKey()
	if err != nil {
		return "", nil, err
	}
	network, says, asked := n.network, hash, amount
	switch n.fault.Kind {
	case wallettest.WrongNetwork:
		network = wallets.Testnet
	case wallettest.WrongAmount:
		amount++
	case wallettest.WrongHash:
		says[0] ^= 1
	}
	records := append(slices.Clone(o.Records),
		bolt12.Record{Type: 0, Value: hash[:16]},
		bolt12.Record{Type: 82, Value: bolt12.AppendUint(nil, uint64(asked))},
		bolt12.Record{Type: 88, Value: payer.PubKey().SerializeCompressed()},
		bolt12.Record{Type: 160, Value: bytes.Repeat([]byte{2}, 120)},
		bolt12.Record{Type: 162, Value: make([]byte, 28)},
		bolt12.Record{Type: 164, Value: bolt12.AppendUint(nil, uint64(now.Unix()))},
		bolt12.Record{Type: 168, Value: hash[:]},
		bolt12.Record{Type: 170, Value: bolt12.AppendUint(nil, uint64(amount))},
		bolt12.Record{Type: 176, Value: payee},
	)
	if !network.IsRealMoney() {
		records = append(records, bolt12.Record{Type: 80, Value: network.Params().GenesisHash[:]})
	}
	if o.Alter != nil {
		records = o.Alter(records)
	}
	stream, err := bolt12.Sign("invoice", records, o.Key)
	if err != nil {
		return "", nil, err
	}
	text := bolt12.EncodeText("lni", stream)
	description, _ := bolt12.Find(o.Records, 10)
	return text, &record{
		label: "offer-" + hash.String(), description: string(description), bolt12: text,
		hash: says, preimage: preimage, amount: amount, status: "unpaid",
		expires: now.Add(2 * time.Hour), createdIdx: uint64(len(n.invoices) + 1),
	}, nil
}
