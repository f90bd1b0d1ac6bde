package caddyl402

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/redeem"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
)

const (
	// redeemTick is how often it is looked whether anything is due.
	redeemTick = 20 * time.Second
	// redeemTimeout bounds one round with a purse.
	redeemTimeout = 5 * time.Minute
	// redeemAtOnce is how many purses are redeemed at the same time. A mint that hangs must not
	// hold up the others.
	redeemAtOnce = 8
)

// redeemer redeems for all configurations of the process, so that an old one and its successor do not
// both redeem a purse.
var redeemer = redeem.New(redeem.Options{Told: metrics.redeemed})

// purseID names a purse, by what tells it apart, without showing that.
func purseID(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// redeemJob is what is to become of a purse. Errors say why nothing is.
func (a *App) redeemJob(p *purseFacts) (redeem.Job, error) {
	job := redeem.Job{ID: p.id(), Group: p.group(), Store: p.Store, Purse: p.Purse, Lock: a.lockStorage}
	r := a.redemption
	switch {
	case r == nil:
		return job, errors.New("redeem_to is not set")
	case !p.Named:
		return job, errors.New("the configuration does not name the mint any more")
	case p.Unit != mint.UnitSat && p.Unit != mint.UnitMsat:
		return job, errors.New("Lightning takes ecash in sat and msat only")
	case p.Wallet != "" && p.Wallet == r.name:
		return job, errors.New("it is the wallet that is redeemed into")
	}
	job.Rules = r.rules
	var err error
	job.Target, err = r.target(p.Mint, p.Name)
	return job, err
}

// redeemEcash redeems what is due until the context ends.
func (a *App) redeemEcash(ctx context.Context) {
	logger := a.logger.Named("redeem")
	var mu sync.Mutex
	failing := make(map[string]bool)
	tick := time.NewTicker(redeemTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var round sync.WaitGroup
		slots := make(chan struct{}, redeemAtOnce)
		for _, p := range a.allPurses() {
			job, err := a.redeemJob(&p)
			if err != nil {
				continue // the admin API tells why
			}
			slots <- struct{}{}
			round.Go(func() { // ends with its purse's round, for which the loop waits
				defer func() { <-slots }()
				err := a.redeemPurse(ctx, logger, job)
				mu.Lock()
				defer mu.Unlock()
				if err != nil && !failing[job.ID] && ctx.Err() == nil {
					logger.Warn("ecash is not redeemed; it is tried again", zap.String("mint", p.Mint), zap.Error(err))
				}
				failing[job.ID] = err != nil
			})
		}
		round.Wait()
	}
}

// redeemPurse does what is due with a purse.
func (a *App) redeemPurse(ctx context.Context, logger *zap.Logger, job redeem.Job) error {
	ctx, cancel := context.WithTimeout(ctx, redeemTimeout)
	defer cancel()
	done, err := redeemer.Run(ctx, job)
	for _, d := range done {
		logger.Info("ecash redeemed", zap.String("mint", job.Purse.MintURL()), zap.String("unit", job.Purse.Unit()),
			zap.Uint64("amount", d.Amount), zap.Uint64("fee", d.Fee), zap.String("to", d.Target), zap.String("why", d.Why))
		if d.Unproven {
			logger.Error("the mint says that it has paid and proves it by nothing: see whether the payment arrived",
				zap.String("mint", job.Purse.MintURL()), zap.String("payment_hash", d.Hash), zap.String("to", d.Target))
		}
	}
	if errors.Is(err, redeem.ErrInFlight) || errors.Is(err, redeem.ErrTooLittle) {
		return nil
	}
	return err
}
