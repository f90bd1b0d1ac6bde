package purses

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// resumeTimeout bounds one round of a purse.
const resumeTimeout = 2 * time.Minute

// tend brings to an end what a purse has begun, again and again, until the term ends. A mint that
// fails is asked less and less often, and told of once.
func (t *term) tend(e *entry, at entryKey) {
	wait := time.Duration(0)
	failing := false
	for pause(t.done, wait) {
		ctx, cancel := context.WithTimeout(t.done, resumeTimeout)
		open, err := e.purse.Resume(ctx)
		cold := err == nil && e.purse.Warm(ctx) != nil
		if err == nil && !cold && e.purse.Balance().Proofs > t.house.timing.many {
			err = e.purse.Merge(ctx, t.house.timing.many/2)
		}
		cancel()
		if t.done.Err() != nil {
			return
		}
		e.mu.Lock()
		e.open, e.problem = open, err
		e.mu.Unlock()
		switch {
		case err == nil && failing:
			t.house.logger().Info("payments with ecash go on", zap.String("mint", at.Mint), zap.String("unit", at.Unit))
		case err != nil && !failing:
			t.house.logger().Error("payments with ecash cannot be brought to their end; it is tried again",
				zap.String("mint", at.Mint), zap.String("unit", at.Unit), zap.Error(err))
		}
		failing = err != nil
		slower := max(2*wait, t.house.timing.idle)
		switch {
		case err != nil:
			wait = min(slower, t.house.timing.slowest)
		case cold:
			wait = min(slower, coldest)
		default:
			wait = t.house.timing.idle
		}
	}
}

// coldest is how often at least a mint is asked that does not answer.
const coldest = time.Minute
