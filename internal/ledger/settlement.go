package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Settlement is a payment that arrived. There is one for each payment hash.
type Settlement struct {
	// PaymentHash is the SHA-256 of the preimage (BOLT 11).
	PaymentHash [32]byte
	// Time is when the payment was first seen to be settled.
	Time time.Time
	// Service and Tier are what was sold.
	Service string
	Tier    uint8
	// AmountMsat is in millisatoshi.
	AmountMsat uint64
	// Wallet is the name of the wallet that was paid.
	Wallet string
	// Scheme is how the proof came: "L402", "Payment", "Cashu", …
	Scheme string
	// TokenID is the id of the token that was first shown for the payment.
	TokenID [32]byte
	// Tenant is who was paid where several share a gateway, or empty.
	Tenant string
}

// maxName is the greatest length of each of a settlement's texts in bytes.
const maxName = 1 << 10

func (s *Settlement) check() error {
	for _, text := range [...][2]string{
		{"service", s.Service}, {"wallet", s.Wallet}, {"scheme", s.Scheme}, {"tenant", s.Tenant},
	} {
		if len(text[1]) > maxName {
			return fmt.Errorf("recording a settlement: %w: %s of %d bytes", ErrTooLarge, text[0], len(text[1]))
		}
	}
	if s.PaymentHash == ([32]byte{}) {
		return fmt.Errorf("recording a settlement: %w: no payment hash", ErrInvalid)
	}
	return nil
}

func (s *Settlement) appendTo(dst []byte) []byte {
	dst = append(dst, s.PaymentHash[:]...)
	dst = append(dst, s.TokenID[:]...)
	dst = append(dst, s.Tier)
	dst = binary.AppendUvarint(dst, s.AmountMsat)
	dst = appendBytes(dst, s.Service)
	dst = appendBytes(dst, s.Wallet)
	dst = appendBytes(dst, s.Scheme)
	return appendBytes(dst, s.Tenant)
}

// decodeSettlement reads a settlement. Its texts come through intern, for they repeat.
func decodeSettlement(r record, intern *interner) (s Settlement, err error) {
	d := decoder{b: r.payload}
	s.PaymentHash = d.hash()
	s.TokenID = d.hash()
	if tier := d.take(1); tier != nil {
		s.Tier = tier[0]
	}
	s.AmountMsat = d.uvarint()
	s.Service = intern.text(d.bytes())
	s.Wallet = intern.text(d.bytes())
	s.Scheme = intern.text(d.bytes())
	s.Tenant = intern.text(d.bytes())
	s.Time = time.Unix(0, r.time).UTC()
	return s, d.done("settlement")
}

// interner keeps one copy of texts that repeat, up to a bound.
type interner struct{ texts map[string]string }

func (i *interner) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := i.texts[string(b)]; ok {
		return s
	}
	s := string(b)
	if i.texts == nil {
		i.texts = make(map[string]string)
	}
	if len(i.texts) < 1<<14 {
		i.texts[s] = s
	}
	return s
}

// RecordSettlement notes a payment, once for each payment hash, and returns whether this process
// had not noted it yet. It touches memory only; the record is written with the next group commit.
// When it returns an error (ErrBacklog, ErrClosed, ErrTooLarge, ErrInvalid) nothing was noted and
// the next call for the hash tries again.
//
// After a restart, or on another instance, a payment may be noted again; readers drop the
// repetitions.
func (l *Ledger) RecordSettlement(s Settlement) (first bool, err error) {
	if err := s.check(); err != nil {
		return false, err
	}
	if s.Time.IsZero() {
		s.Time = l.opts.Now()
	}
	first, err = l.settled.add(s.PaymentHash, func() error {
		var scratch [256]byte
		return l.journal.append(recSettlement, s.Time.UnixNano(), s.appendTo(scratch[:0]))
	})
	if err != nil {
		if errors.Is(err, ErrBacklog) {
			l.health.lost(l.logger(), "settlement")
		}
		return false, fmt.Errorf("recording a settlement: %w", err)
	}
	return first, nil
}

// Settled tells whether this process remembers the settlement of a payment hash. It takes one
// sharded lock and no memory.
func (l *Ledger) Settled(hash [32]byte) bool { return l.settled.has(hash) }
