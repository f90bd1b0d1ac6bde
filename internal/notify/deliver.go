package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"
)

// maxAnswer is what is read of an answer, so that its connection can be used again.
const maxAnswer = 16 << 10

// deliver tries an event once.
func (n *Notifier) deliver(ctx context.Context, d *delivery) {
	err := n.post(ctx, d)
	n.mu.Lock()
	n.judge(ctx, d, err)
	n.mu.Unlock()
	n.tidy()
}

// judge sees to an event that was tried. The caller holds mu.
func (n *Notifier) judge(ctx context.Context, d *delivery, err error) {
	now := n.Now()
	switch {
	case err == nil:
		n.count(Delivered)
		n.settled(d)
		n.full = false
		if n.failing {
			n.failing = false
			n.logger().Info("notifications are taken again", zap.String("target", n.url.Host))
		}
		return
	case ctx.Err() != nil: // cut off at the end: it waits for the next start
		n.enqueue(d)
		return
	}
	n.count(Failed)
	if !n.failing {
		n.failing = true
		n.logger().Warn("notification is not taken; it is tried again for a day",
			zap.String("target", n.url.Host), zap.String("id", d.id), zap.Error(err))
	}
	d.attempts++
	if now.Sub(d.first) >= giveUpAfter {
		n.giveUp(d, err)
		return
	}
	d.next = now.Add(n.pause(d.attempts))
	n.enqueue(d)
	n.nudge()
}

// giveUp ends the tries of an event. The caller holds mu.
func (n *Notifier) giveUp(d *delivery, err error) {
	n.count(Expired)
	n.settled(d)
	n.logger().Error("notification was not taken for a day and is given up",
		zap.String("target", n.url.Host), zap.String("id", d.id), zap.Int("attempts", d.attempts), zap.Error(err))
}

// pause is how long to wait after so many failed tries: it doubles, and is spread so that events do
// not come all at once.
func (n *Notifier) pause(attempts int) time.Duration {
	pause := lastPause
	if attempts < 20 {
		pause = min(lastPause, firstPause<<(attempts-1))
	}
	return time.Duration(float64(pause) * (0.5 + n.Random()))
}

// post sends one request. Its errors show nothing of the URL but the host.
func (n *Notifier) post(ctx context.Context, d *delivery) (err error) {
	defer func() {
		var wrapped *url.Error // its text has the whole URL in it
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		if err != nil {
			err = fmt.Errorf("notifying %s: %w", n.url.Host, err)
		}
	}()
	n.mu.Lock()
	timeout := n.host().Timeout
	n.mu.Unlock()
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url.String(), bytes.NewReader(d.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "caddy-l402")
	request.Header.Set(SignatureHeader, n.target.sign(d.body, n.Now()))
	answer, err := n.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	// What it says is no matter; an error here is none of the delivery.
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("the answer has status %d", answer.StatusCode)
	}
	return nil
}
