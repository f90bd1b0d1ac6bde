package wallettest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func checkCreate(s *suite) {
	req := s.request()
	inv := s.must(req)
	d, err := wallets.DecodeInvoice(inv.PaymentRequest)
	if err != nil {
		s.Fatalf("decoding the invoice: %v", err)
	}
	if !s.h.cannot(Memo) && d.Memo != req.Memo {
		s.Errorf("memo is %q, want %q", d.Memo, req.Memo)
	}
	if left := time.Until(inv.ExpiresAt); left < req.Expiry/2 {
		s.Errorf("invoice can be paid for %s, want about %s", left, req.Expiry)
	}
}

func checkAmounts(s *suite) {
	whole := s.h.cannot(Millisatoshi)
	for _, msat := range []lnwire.MilliSatoshi{
		1, 999, 1000, 1001, 1_500, 21_000, 123_456, 1_000_000, 99_999_999, 100_000_000,
		s.h.MinAmount, s.h.MaxAmount,
	} {
		if whole && msat%1000 != 0 {
			s.refusesAmount(msat)
			continue
		}
		if msat < s.h.MinAmount || msat > s.h.MaxAmount {
			continue
		}
		req := s.request()
		req.Amount = msat
		s.must(req)
	}
	// Below the peer's least amount a wallet may not round up.
	if s.h.MinAmount > 1 && !whole {
		s.refusesAmount(s.h.MinAmount - 1)
	}
}

// refusesAmount demands ErrAmount: the operator's message depends on it.
func (s *suite) refusesAmount(msat lnwire.MilliSatoshi) {
	s.Helper()
	ctx, cancel := s.patient()
	defer cancel()
	req := s.request()
	req.Amount = msat
	if _, err := s.try(ctx, req); !errors.Is(err, wallets.ErrAmount) {
		s.sound(err)
		s.Errorf("invoice over %d msat: got %v, want ErrAmount", uint64(msat), err)
	}
}

// checkAbsurdAmounts asks for amounts that no invoice can have. They overflow the signed integers
// of many peers.
func checkAbsurdAmounts(s *suite) {
	for _, msat := range []lnwire.MilliSatoshi{0, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		ctx, cancel := s.patient()
		req := s.request()
		req.Amount = msat
		_, err := s.try(ctx, req)
		cancel()
		s.sound(err)
		if err == nil {
			s.Errorf("an invoice over %d msat was made", uint64(msat))
		}
	}
	s.recovers("absurd amounts")
}

func checkMemos(s *suite) {
	for name, memo := range map[string]string{
		"empty":       "",
		"blank":       " ",
		"UTF-8":       "Zürich → 東京 ☕ 🧾",
		"JSON":        `","amount_msat":1,"x":"`,
		"URL":         "a=b&amount=1#%00?x",
		"lines":       "one\r\ntwo\tthree",
		"the longest": strings.Repeat("é", wallets.MaxMemo/2) + "x",
	} {
		req := s.request()
		req.Memo = memo
		d, err := wallets.DecodeInvoice(s.must(req).PaymentRequest)
		if err != nil {
			s.Fatalf("memo %s: decoding the invoice: %v", name, err)
		}
		if !s.h.cannot(Memo) && d.Memo != memo {
			s.Errorf("memo %s came out as %q, want %q", name, d.Memo, memo)
		}
	}
}

// checkBadMemos accepts a refusal and a shortened memo, but no broken invoice and no other one.
func checkBadMemos(s *suite) {
	for name, memo := range map[string]string{
		"one too long": strings.Repeat("é", wallets.MaxMemo/2) + "xy",
		"1 MiB":        strings.Repeat("é", 1<<19),
		"not UTF-8":    "a\xff\xfeb",
	} {
		req := s.request()
		req.Memo = memo
		ctx, cancel := s.patient()
		inv, err := s.try(ctx, req)
		cancel()
		s.sound(err)
		if err != nil {
			if errors.Is(err, wallets.ErrBadInvoice) {
				s.Errorf("memo %s made a broken invoice: %v", name, err)
			}
			continue
		}
		d, err := wallets.DecodeInvoice(inv.PaymentRequest)
		if err != nil {
			s.Fatalf("memo %s: decoding the invoice: %v", name, err)
		}
		// What stands for broken bytes is up to the wallet and its peer.
		if !s.h.cannot(Memo) && utf8.ValidString(memo) && !strings.HasPrefix(memo, strings.TrimSuffix(d.Memo, "…")) {
			s.Errorf("memo %s came out as %.80q, which is not its beginning", name, d.Memo)
		}
	}
	s.recovers("bad memos")
}

// checkUnique makes many invoices at once.
func checkUnique(s *suite) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*s.h.Patience)
	defer cancel()
	hashes := make([]lntypes.Hash, s.h.Concurrency)
	errs := make([]error, s.h.Concurrency)
	var wg sync.WaitGroup
	for i := range s.h.Concurrency {
		// Ends with the call; wg.Wait below.
		wg.Go(func() {
			req := s.request()
			req.Memo = fmt.Sprintf("conformance %d", i)
			inv, err := s.try(ctx, req)
			if errs[i] = err; err != nil {
				return
			}
			hashes[i] = inv.PaymentHash
			if !s.h.cannot(Memo) {
				errs[i] = hasMemo(inv, req.Memo)
			}
		})
	}
	wg.Wait()
	seen := make(map[lntypes.Hash]bool)
	for _, hash := range hashes {
		if seen[hash] && hash != (lntypes.Hash{}) {
			s.Fatalf("payment hash %s was given twice", hash)
		}
		seen[hash] = true
	}
	for i, err := range errs {
		if err != nil {
			s.Fatalf("invoice %d of %d at once: %v", i+1, s.h.Concurrency, err)
		}
	}
}

// hasMemo finds answers that went to the wrong caller.
func hasMemo(inv *wallets.Invoice, memo string) error {
	d, err := wallets.DecodeInvoice(inv.PaymentRequest)
	if err != nil {
		return err
	}
	if d.Memo != memo {
		return fmt.Errorf("got the invoice of another request: memo %q, want %q", d.Memo, memo)
	}
	return nil
}

// checkStorageErrors has the store fail. The wallet may work without it or refuse, for as long as
// that lasts.
func checkStorageErrors(s *suite) {
	s.env.FailStorage(errors.New("disk full"))
	ctx, cancel := s.patient()
	defer cancel()
	if _, err := s.try(ctx, s.request()); err != nil {
		s.sound(err)
		s.Logf("without storage the wallet makes no invoices: %v", err)
		if errors.Is(err, wallets.ErrBadInvoice) {
			s.Errorf("without storage the wallet makes bad invoices: %v", err)
		}
	}
	s.env.FailStorage(nil)
	s.recovers("storage errors")
}
