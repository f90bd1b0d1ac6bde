package wallets

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
)

// MaxPaymentRequest is the greatest length of a payment request or an offer in bytes. Longer
// ones do not fit beside the token in a header.
const MaxPaymentRequest = 4096

// Decoded is what the text of an invoice says.
type Decoded struct {
	// PaymentRequest is the text in its plain form: lower case, without a URI scheme.
	PaymentRequest string
	// Bolt12 tells a BOLT 12 invoice ("lni…") from a BOLT 11 one ("lnbc…").
	Bolt12 bool
	// Network is the chain that the invoice is for.
	Network Network
	// Amount is in millisatoshi; zero leaves it to the payer.
	Amount lnwire.MilliSatoshi
	// PaymentHash is the SHA-256 of the preimage.
	PaymentHash lntypes.Hash
	// Memo is the description; it comes from the payee and is not to be trusted.
	Memo string
	// DescriptionHash is the SHA-256 of a description that is told elsewhere, or nil.
	DescriptionHash *[32]byte
	// CreatedAt is when the invoice was made, by the payee's clock.
	CreatedAt time.Time
	// ExpiresAt is when it can no longer be paid.
	ExpiresAt time.Time
	// Payee is the node's compressed public key; the invoice's signature is by it.
	Payee [33]byte
}

// DecodeInvoice reads a BOLT 11 or BOLT 12 invoice of any known network and verifies its
// checksum and signature. It takes upper and lower case (not mixed), white space around the
// text, a "lightning:" scheme before it and, for BOLT 12, joins with '+'. Errors wrap
// ErrBadInvoice. It does not tell whether the invoice has expired.
func DecodeInvoice(text string) (*Decoded, error) {
	// The bound comes first so that the steps after it see little; the slack is for the parts
	// that they take away.
	if len(text) > MaxPaymentRequest+256 {
		return nil, badInvoice("decoding", errTooLong)
	}
	text = strings.TrimSpace(text)
	const scheme = "lightning:"
	if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		text = text[len(scheme):]
	}
	d, err := decode(text, true)
	if err != nil {
		return nil, badInvoice("decoding", err)
	}
	return d, nil
}

var errTooLong = fmt.Errorf("longer than %d bytes", MaxPaymentRequest)

func badInvoice(step string, err error) error {
	return fmt.Errorf("%s: %w: %w", step, ErrBadInvoice, err)
}

// decode reads an invoice in its bare form; joins says whether BOLT 12's '+' may occur.
func decode(text string, joins bool) (*Decoded, error) {
	if joins && len(text) > 2 && strings.ContainsRune(text, '+') {
		var err error
		if text, err = joinBolt12(text); err != nil {
			return nil, err
		}
	}
	text, err := plain(text)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(text, "lni1") {
		return decodeBolt12(text)
	}
	return decodeBolt11(text)
}

// plain checks that the text is bech32-like, of one case and not too long, and gives it in lower
// case. Nothing else may reach a header, a page or the terminal.
func plain(text string) (string, error) {
	if text == "" {
		return "", errors.New("empty text")
	}
	if len(text) > MaxPaymentRequest {
		return "", errTooLong
	}
	var upper, lower bool
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= 'A' && c <= 'Z':
			upper = true
		case c < '0' || c > '9':
			return "", fmt.Errorf("byte %d is neither an ASCII letter nor a digit", i+1)
		}
	}
	if upper && lower {
		return "", errors.New("upper and lower case are mixed")
	}
	return strings.ToLower(text), nil
}

// prefixes holds the networks' marks, a longer one before one that it begins with.
var prefixes = []struct {
	text    string
	network Network
}{
	{"lnbcrt", Regtest},
	{"lnbc", Mainnet},
	{"lntbs", Signet},
	{"lntb", Testnet},
}

// splitPrefix reads network and amount text off the human-readable part of a BOLT 11 invoice.
func splitPrefix(hrp string) (Network, string, error) {
	for _, p := range prefixes {
		rest, ok := strings.CutPrefix(hrp, p.text)
		if ok && (rest == "" || rest[0] >= '0' && rest[0] <= '9') {
			return p.network, rest, nil
		}
	}
	return "", "", errors.New("prefix is none of lnbc, lntb, lntbs, lnbcrt and lni")
}

// checkAmountText refuses what the decoding library would read as another number: an amount
// beyond all bitcoin there is, which overflows there, and leading zeros, which BOLT 11 forbids.
func checkAmountText(s string) error {
	if s == "" {
		return nil
	}
	digits := strings.TrimRight(s, "munp")
	unit := s[len(digits):]
	if len(unit) > 1 || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return errors.New("amount is not a number with at most one multiplier")
	}
	if digits[0] == '0' {
		return errors.New("amount begins with a zero")
	}
	// 21 million bitcoin have 8 digits, and each multiplier stands for three more.
	most := map[string]int{"": 8, "m": 11, "u": 14, "n": 17, "p": 20}[unit]
	if len(digits) > most {
		return errors.New("amount is more than all bitcoin")
	}
	return nil
}

func decodeBolt11(text string) (*Decoded, error) {
	// An amount may hold a '1', the data cannot, so the separator is the last one.
	sep := strings.LastIndexByte(text, '1')
	if sep < 0 {
		return nil, errors.New("no '1' between prefix and data")
	}
	network, amount, err := splitPrefix(text[:sep])
	if err != nil {
		return nil, err
	}
	if err := checkAmountText(amount); err != nil {
		return nil, err
	}
	inv, err := zpay32.Decode(text, network.Params())
	if err != nil {
		return nil, err
	}
	expiry := inv.Expiry()
	if expiry < 0 || expiry > maxExpiry {
		expiry = maxExpiry
	}
	d := &Decoded{
		PaymentRequest:  text,
		Network:         network,
		PaymentHash:     lntypes.Hash(*inv.PaymentHash),
		DescriptionHash: inv.DescriptionHash,
		CreatedAt:       inv.Timestamp,
		ExpiresAt:       inv.Timestamp.Add(expiry),
		Payee:           [33]byte(inv.Destination.SerializeCompressed()),
	}
	if inv.MilliSat != nil {
		d.Amount = *inv.MilliSat
	}
	if inv.Description != nil {
		d.Memo = *inv.Description
	}
	return d, nil
}

// maxExpiry bounds what an invoice says of its life. More than that overflows in sums of times,
// and means "for ever" anyway.
const maxExpiry = 100 * 365 * 24 * time.Hour
