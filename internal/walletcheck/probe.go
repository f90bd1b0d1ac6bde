package walletcheck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// errPanic says that the adapter panicked; what it panicked with may hold anything.
var errPanic = errors.New("the adapter panicked")

// probe is a check under way.
type probe struct {
	Checker
	declared Declared
	result   *Result
}

func (p *probe) run(ctx context.Context) {
	wallet := p.declared.Wallet
	pinger, ping := wallet.(wallets.Pinger)
	describer, describe := wallet.(wallets.Describer)
	_, subscribe := wallet.(wallets.Subscriber)
	_, hold := wallet.(wallets.HoldInvoicer)
	_, pay := wallet.(wallets.Payer)
	p.result.Abilities = &Abilities{Subscribe: subscribe, Hold: hold, Pay: pay, Ping: ping}

	if ping {
		p.step(ctx, "connect", func(ctx context.Context) (string, error) { return "", pinger.Ping(ctx) })
	} else {
		p.skip("connect", "the adapter connects with its first invoice")
	}
	invoice := p.invoice(ctx)
	if invoice == nil {
		p.skip("look-up", "there is no invoice")
	} else {
		p.lookUp(ctx, invoice)
	}
	// Last, for some wallets know more about themselves once they made an invoice.
	if !describe {
		p.skip("permissions", "the adapter cannot tell them")
		return
	}
	p.step(ctx, "permissions", func(ctx context.Context) (_ string, err error) {
		p.result.Permissions, err = describer.Permissions(ctx)
		return "", err
	})
}

// invoice makes an invoice and checks it as the gate does; nil where that failed.
func (p *probe) invoice(ctx context.Context) (invoice *wallets.Invoice) {
	request := wallets.InvoiceRequest{Amount: p.Amount, Memo: Memo, Expiry: expiry}
	made := p.step(ctx, "invoice", func(ctx context.Context) (_ string, err error) {
		if invoice, err = p.declared.Wallet.CreateInvoice(ctx, request); err == nil && invoice == nil {
			err = fmt.Errorf("%w: no invoice and no error", wallets.ErrBadAnswer)
		}
		return "over " + pricing.Format(p.Amount), err
	})
	if !made {
		p.skip("verify", "there is no invoice")
		return nil
	}
	var payee *[33]byte
	if known, ok := p.declared.Wallet.(wallets.Payee); ok {
		payee = known.Payee()
	}
	good := p.step(ctx, "verify", func(context.Context) (string, error) {
		// The network first: its cure is a setting, and the general check names no setting.
		decoded, err := wallets.DecodeInvoice(invoice.PaymentRequest)
		if err == nil && decoded.Network != p.result.Network {
			return "", &networkError{got: decoded.Network, want: p.result.Network}
		}
		if err := wallets.CheckInvoice(p.declared.Network, request, invoice, p.Now(), payee); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s, %s, can be paid for %s", p.result.Network, pricing.Format(invoice.Amount),
			invoice.ExpiresAt.Sub(p.Now()).Truncate(time.Second)), nil
	})
	if !good {
		return nil
	}
	return invoice
}

func (p *probe) lookUp(ctx context.Context, invoice *wallets.Invoice) {
	unsupported := false
	p.step(ctx, "look-up", func(ctx context.Context) (string, error) {
		status, err := p.declared.Wallet.LookupInvoice(ctx, invoice.PaymentHash)
		switch {
		case errors.Is(err, wallets.ErrLookupUnsupported):
			unsupported = true
			return "not possible: clients must show the preimage", nil
		case errors.Is(err, wallets.ErrNotFound):
			return "", fmt.Errorf("the invoice that was just made: %w", err)
		case err != nil:
			return "", err
		case status == nil:
			return "", fmt.Errorf("%w: no status and no error", wallets.ErrBadAnswer)
		case status.State != wallets.StatePending:
			return "", fmt.Errorf("%w: a new invoice is said to be %s", wallets.ErrBadAnswer, status.State)
		}
		p.result.Abilities.LookUp = true
		return status.State.String(), nil
	})
	if unsupported {
		p.result.Steps[len(p.result.Steps)-1].Outcome = Skipped
	}
}

// step performs one call within its time and notes what came of it.
func (p *probe) step(ctx context.Context, name string, do func(context.Context) (string, error)) bool {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	begin := time.Now()
	detail, err := guarded(ctx, do)
	s := Step{Name: name, Outcome: OK, Detail: detail, Millis: time.Since(begin).Milliseconds()}
	if err != nil {
		s.Outcome, s.Detail = Failed, ""
		s.Error, s.Cure = printable(err.Error()), Cure(p.declared.Adapter, err)
		p.result.OK = false
	}
	p.result.Steps = append(p.result.Steps, s)
	return err == nil
}

func (p *probe) skip(name, why string) {
	p.result.Steps = append(p.result.Steps, Step{Name: name, Outcome: Skipped, Detail: why})
}

// guarded turns a panic of an adapter into an error.
func guarded(ctx context.Context, do func(context.Context) (string, error)) (detail string, err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return do(ctx)
}

// networkError is an invoice for another chain than the configuration says.
type networkError struct{ got, want wallets.Network }

// Error implements error.
func (e *networkError) Error() string {
	return fmt.Sprintf("the wallet makes invoices for %s, and the configuration says %s", e.got, e.want)
}

// Unwrap implements the interface of package errors.
func (e *networkError) Unwrap() error { return wallets.ErrBadInvoice }

// printable makes what a peer said safe for a terminal.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "…"
	}
	return text
}

// Guards.
var (
	_ error = (*networkError)(nil)
)
