package bolt12

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/caddy-l402/caddy-l402/wallets"
	tlv "github.com/caddy-l402/caddy-l402/wallets/internal/bolt12"
)

// match checks that an invoice answers the offer: that one of the offer's signers signed it, and
// that it repeats the offer's fields, no more and no less (BOLT 12, "Requirements for Invoices").
// The signature itself was verified when the invoice was decoded.
func (o *offer) match(d *wallets.Decoded) error {
	if !d.Bolt12 {
		return errors.New("it is not a BOLT 12 invoice")
	}
	signed := 0
	for _, key := range o.signers {
		signed |= subtle.ConstantTimeCompare(key[:], d.Payee[:])
	}
	if signed != 1 {
		return fmt.Errorf("it is signed by %x, whom the offer does not name", d.Payee)
	}
	_, data, err := tlv.DecodeText(d.PaymentRequest)
	if err != nil {
		return err
	}
	records, err := tlv.Parse(data)
	if err != nil {
		return err
	}
	var repeated []tlv.Record
	for _, r := range records {
		if isOfferType(r.Type) {
			repeated = append(repeated, r)
		}
	}
	for i, r := range o.records {
		if i >= len(repeated) || repeated[i].Type != r.Type || !bytes.Equal(repeated[i].Value, r.Value) {
			return fmt.Errorf("field %d is not as in the offer", r.Type)
		}
	}
	if len(repeated) > len(o.records) {
		return fmt.Errorf("field %d is not in the offer", repeated[len(o.records)].Type)
	}
	return nil
}
