package nwc

import (
	"context"
	"time"
)

// encryption picks the scheme. The first time it waits until each relay has told the info event, if
// it has one, and knows where answers go, or has failed: by a relay that does not work yet no answer can come,
// and the one that works may be the one that lies.
func (s *transport) encryption(ctx context.Context) (scheme, error) {
	patience := time.NewTimer(s.timing.infoWait)
	defer patience.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	before := make([]int, len(s.links))
	for i, l := range s.links {
		before[i] = l.fails
		l.poke()
	}
	for {
		switch {
		case s.closed:
			return "", errClosed
		case !s.settled && !s.allTried():
			// Wait on.
		case s.forced != "":
			return s.forced, nil
		default:
			s.settled = true
			return s.info.scheme()
		}
		if err := s.allFailed(before); err != nil {
			return "", err
		}
		changed := s.changed
		s.mu.Unlock()
		var ctxErr error
		late := false
		select {
		case <-changed:
		case <-ctx.Done():
			ctxErr = ctx.Err()
		case <-patience.C:
			late = true
		}
		s.mu.Lock()
		if ctxErr != nil {
			return "", ctxErr
		}
		if late {
			for _, l := range s.links {
				s.settled = s.settled || l.conn != nil
			}
			patience.Reset(s.timing.infoWait)
		}
	}
}

// allTried tells whether a relay works and each has told what it has or has failed; s.mu is held.
func (s *transport) allTried() bool {
	up := false
	for _, l := range s.links {
		if l.conn == nil && l.fails == 0 || l.conn != nil && !(l.infoDone && l.walletDone) {
			return false
		}
		up = up || l.conn != nil
	}
	return up
}

// allFailed gives an error if no relay could be reached since; s.mu is held.
func (s *transport) allFailed(before []int) error {
	var errs []error
	for i, l := range s.links {
		if l.conn != nil || l.fails == before[i] {
			return nil
		}
		errs = append(errs, l.err)
	}
	return joined(errs)
}
