package e2e

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// waitFor waits until a counter reaches n.
func waitFor(t testing.TB, what string, counter *atomic.Int64, n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := proc.Poll(ctx, what, func() error {
		if now := counter.Load(); now < n {
			return fmt.Errorf("%d of %d", now, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
