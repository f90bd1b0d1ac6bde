package notify

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	// kind is what the ledger files kept events under.
	kind = "notify"
	// maxChunk is how many bytes of events one stored value holds, at most, or one event.
	maxChunk = 256 << 10
	// keepTimeout bounds what is written at the end, storeTimeout other calls.
	keepTimeout  = 10 * time.Second
	storeTimeout = 10 * time.Second
	// lookAgainAfter is how long to wait for a store that does not work.
	lookAgainAfter = 2 * time.Second
)

// kept is the stored form of an event.
type kept struct {
	ID    string          `json:"id"`
	First time.Time       `json:"first"`
	Body  json.RawMessage `json:"body"`
}

// chunk is a stored value whose events are on their way again. It is deleted when none is left, so
// that a crash before that loses none. The Notifier's mu guards it.
type chunk struct {
	id   string
	left int
}

// settled counts an event as done with. The caller holds mu; tidy does what follows from it.
func (n *Notifier) settled(d *delivery) {
	if d.kept == nil {
		return // it never was stored
	}
	if d.kept.left--; d.kept.left == 0 {
		n.spent = append(n.spent, d.kept.id)
	}
	d.kept = nil
}

// resume takes up what an earlier process kept for this target, as soon as the store works.
func (n *Notifier) resume(ctx context.Context) {
	for {
		if store := n.store(); store != nil {
			err := n.takeUp(ctx, store)
			if err == nil || ctx.Err() != nil {
				return
			}
			n.mu.Lock()
			n.logger().Warn("notifications of an earlier run cannot be read yet", zap.Error(err))
			n.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookAgainAfter):
		}
	}
}

func (n *Notifier) takeUp(ctx context.Context, store Store) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	values, err := store.ListDurable(ctx, kind)
	if err != nil {
		return err
	}
	for _, value := range values {
		if !strings.HasPrefix(value.ID, n.target.ID()+"-") {
			continue
		}
		var events []kept
		if err := json.Unmarshal(value.Value, &events); err != nil {
			n.mu.Lock()
			n.logger().Error("kept notifications cannot be read and stay where they are", zap.String("id", value.ID))
			n.mu.Unlock()
			continue
		}
		n.load(value.ID, events)
	}
	return nil
}

// load puts the events of a stored value into the queue.
func (n *Notifier) load(id string, events []kept) {
	c := &chunk{id: id, left: len(events)}
	n.mu.Lock()
	if len(events) == 0 {
		n.spent = append(n.spent, id)
	}
	now := n.Now()
	for _, e := range events {
		d := &delivery{id: e.ID, body: e.Body, first: e.First, next: now, kept: c}
		if now.Sub(d.first) >= giveUpAfter {
			n.giveUp(d, nil)
			continue
		}
		n.enqueue(d)
	}
	n.mu.Unlock()
	n.nudge()
	n.tidy()
}

// tidy deletes the stored values of which no event is left.
func (n *Notifier) tidy() {
	n.mu.Lock()
	spent := n.spent
	n.spent = nil
	n.mu.Unlock()
	if len(spent) == 0 {
		return
	}
	store := n.store()
	if store == nil {
		return // their events come again at the next start
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	for _, id := range spent {
		if err := store.DeleteDurable(ctx, kind, id); err != nil {
			n.mu.Lock()
			n.logger().Warn("delivered notifications will come again at the next start", zap.Error(err))
			n.mu.Unlock()
			return
		}
	}
}

// keep stores what waits. Nothing else runs any more.
func (n *Notifier) keep() {
	n.mu.Lock()
	left := n.waiting.all()
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), keepTimeout)
	defer cancel()
	store := n.store()
	for len(left) > 0 {
		var part []*delivery
		part, left = cut(left)
		if err := n.put(ctx, store, part); err != nil {
			n.notKept(part, err)
			continue
		}
		n.mu.Lock()
		for _, d := range part {
			n.waiting.remove(d)
			n.settled(d) // it is stored anew
		}
		n.mu.Unlock()
	}
}

// cut takes as many deliveries off as one stored value holds.
func cut(list []*delivery) (part, rest []*delivery) {
	size := 0
	for i, d := range list {
		if size += len(d.body) + len(d.id) + 64; size > maxChunk && i > 0 {
			return list[:i], list[i:]
		}
	}
	return list, nil
}

func (n *Notifier) put(ctx context.Context, store Store, part []*delivery) error {
	if store == nil {
		return errNoStore
	}
	events := make([]kept, 0, len(part))
	for _, d := range part {
		events = append(events, kept{d.id, d.first, d.body})
	}
	value, err := json.Marshal(events)
	if err != nil {
		return err
	}
	random := make([]byte, 16)
	_, _ = rand.Read(random) // it never fails
	return store.PutDurable(ctx, kind, n.target.ID()+"-"+hex.EncodeToString(random), value)
}

// notKept reports what is in memory alone. Those that came from storage are still there.
func (n *Notifier) notKept(part []*delivery, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	lost := 0
	for _, d := range part {
		n.waiting.remove(d)
		if d.kept == nil {
			lost++
			n.count(Lost)
		}
	}
	n.logger().Error("notifications cannot be kept; the payments themselves are in the ledger",
		zap.String("target", n.url.Host), zap.Int("lost", lost), zap.Error(err))
}

func (n *Notifier) store() Store {
	n.mu.Lock()
	defer n.mu.Unlock()
	if get := n.host().Store; get != nil {
		return get()
	}
	return nil
}
