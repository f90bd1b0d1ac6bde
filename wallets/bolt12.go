package wallets

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets/internal/bolt12"
)

// Fields of a BOLT 12 invoice.
const (
	tlvDescription    = 10
	tlvChain          = 80
	tlvPaths          = 160
	tlvBlindedPay     = 162
	tlvCreatedAt      = 164
	tlvRelativeExpiry = 166
	tlvPaymentHash    = 168
	tlvAmount         = 170
	tlvNodeID         = 176
)

// bolt12DefaultExpiry holds where an invoice names none.
const bolt12DefaultExpiry = 7200 * time.Second

// knownEven are the even fields that BOLT 12 gives an invoice. A reader must refuse others,
// since they change what the invoice means; odd ones may be ignored.
var knownEven = map[uint64]bool{
	0: true, 2: true, 4: true, 6: true, 8: true, 10: true, 12: true, 14: true, 16: true,
	18: true, 20: true, 22: true, 80: true, 82: true, 84: true, 86: true, 88: true, 90: true,
	160: true, 162: true, 164: true, 166: true, 168: true, 170: true, 172: true, 174: true,
	176: true, 240: true,
}

func joinBolt12(text string) (string, error) {
	joined, err := bolt12.Join(text)
	if err != nil {
		return "", err
	}
	if !strings.EqualFold(joined[:min(4, len(joined))], "lni1") {
		return "", errors.New("'+' is allowed in BOLT 12 only")
	}
	return joined, nil
}

// decodeBolt12 reads an invoice in lower case. It reads what decides about the payment and
// verifies the signature; the blinded paths are the payer's to read.
func decodeBolt12(text string) (*Decoded, error) {
	_, data, err := bolt12.DecodeText(text)
	if err != nil {
		return nil, err
	}
	records, err := bolt12.Parse(data)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if r.Type%2 == 0 && !knownEven[r.Type] {
			return nil, fmt.Errorf("field %d is unknown and must be understood", r.Type)
		}
	}
	d := &Decoded{PaymentRequest: text, Bolt12: true}
	for _, read := range []func(*Decoded, []bolt12.Record) error{
		readChain, readAmount, readHash, readTimes, readTexts, readNode,
	} {
		if err := read(d, records); err != nil {
			return nil, err
		}
	}
	for _, typ := range []uint64{tlvPaths, tlvBlindedPay} {
		if v, _ := bolt12.Find(records, typ); len(v) == 0 {
			return nil, fmt.Errorf("field %d is missing, so there is no path to pay over", typ)
		}
	}
	return d, nil
}

func readChain(d *Decoded, records []bolt12.Record) error {
	chain, ok := bolt12.Find(records, tlvChain)
	if !ok {
		d.Network = Mainnet
		return nil
	}
	for _, n := range []Network{Mainnet, Testnet, Signet, Regtest} {
		if bytes.Equal(chain, n.Params().GenesisHash[:]) {
			d.Network = n
			return nil
		}
	}
	return errors.New("invreq_chain is none of mainnet, testnet, signet and regtest")
}

func readAmount(d *Decoded, records []bolt12.Record) error {
	v, ok := bolt12.Find(records, tlvAmount)
	if !ok {
		return errors.New("invoice_amount is missing")
	}
	msat, err := bolt12.Uint(v, 8)
	if err != nil {
		return fmt.Errorf("reading invoice_amount: %w", err)
	}
	d.Amount = lnwire.MilliSatoshi(msat)
	return nil
}

func readHash(d *Decoded, records []bolt12.Record) error {
	v, _ := bolt12.Find(records, tlvPaymentHash)
	if len(v) != lntypes.HashSize {
		return fmt.Errorf("invoice_payment_hash has %d bytes, not %d", len(v), lntypes.HashSize)
	}
	d.PaymentHash = lntypes.Hash(v)
	return nil
}

func readTimes(d *Decoded, records []bolt12.Record) error {
	v, ok := bolt12.Find(records, tlvCreatedAt)
	if !ok {
		return errors.New("invoice_created_at is missing")
	}
	created, err := bolt12.Uint(v, 8)
	if err != nil {
		return fmt.Errorf("reading invoice_created_at: %w", err)
	}
	// Beyond 2^40 seconds, 34,000 years, sums of times get near their limits.
	if created > 1<<40 {
		return errors.New("invoice_created_at is out of range")
	}
	expiry := bolt12DefaultExpiry
	if v, ok := bolt12.Find(records, tlvRelativeExpiry); ok {
		seconds, err := bolt12.Uint(v, 4)
		if err != nil {
			return fmt.Errorf("reading invoice_relative_expiry: %w", err)
		}
		expiry = time.Duration(min(seconds, math.MaxUint32)) * time.Second
	}
	d.CreatedAt = time.Unix(int64(created), 0)
	d.ExpiresAt = d.CreatedAt.Add(min(expiry, maxExpiry))
	return nil
}

func readTexts(d *Decoded, records []bolt12.Record) error {
	v, _ := bolt12.Find(records, tlvDescription)
	if !utf8.Valid(v) {
		return errors.New("offer_description is not UTF-8")
	}
	d.Memo = string(v)
	return nil
}

func readNode(d *Decoded, records []bolt12.Record) error {
	v, _ := bolt12.Find(records, tlvNodeID)
	if len(v) != btcec.PubKeyBytesLenCompressed {
		return fmt.Errorf("invoice_node_id has %d bytes, not %d", len(v), btcec.PubKeyBytesLenCompressed)
	}
	d.Payee = [33]byte(v)
	if err := bolt12.Verify("invoice", records, v); err != nil {
		return fmt.Errorf("verifying the invoice: %w", err)
	}
	return nil
}
