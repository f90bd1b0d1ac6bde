package proc

import (
	"context"
	"fmt"
	"time"
)

// Poll calls f every 25 ms until it returns nil, or until ctx ends: then the error names what
// was waited for and the last answer.
func Poll(ctx context.Context, what string, f func() error) error {
	for {
		last := f()
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last: %v)", what, ctx.Err(), last)
		case <-time.After(25 * time.Millisecond):
		}
	}
}
