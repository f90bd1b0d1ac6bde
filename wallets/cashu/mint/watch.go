package mint

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// kindMintQuote is NUT-17's name for subscriptions to mint quotes.
const kindMintQuote = "bolt11_mint_quote"

const (
	// MaxWatched is how many quotes a Watch follows; of more it follows the youngest.
	MaxWatched = 400
	// Mints bound the quotes and the bytes of one subscription, and the subscriptions of one
	// connection: gonuts to 50, 2048 and 100.
	maxFilters     = 20
	maxFilterBytes = 1500
	maxSubs        = 40
	// maxEvent bounds a message of the mint, in bytes.
	maxEvent = 64 << 10
	// pingEvery is how often a connection is tried.
	pingEvery = 30 * time.Second
	// gather is for how long new quotes are put together into one subscription.
	gather = 200 * time.Millisecond
)

// Watch follows mint quotes at the mint's websocket (NUT-17) until ctx or the connection ends, and
// returns why. It calls moved, from one goroutine, with each quote that the mint says is not unpaid
// any more; what the mint says there is a reason to ask for the quote and no more. The quotes come
// over the channel, the youngest last. Errors are those of other calls.
func (c *Client) Watch(ctx context.Context, quotes <-chan string, moved func(quote string)) error {
	conn, err := c.dialWatch(ctx)
	if err != nil {
		return fmt.Errorf("watching quotes at %s: %w", c.url, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{conn: conn, subs: make(map[string][]string)}
	events, failed := make(chan []byte), make(chan error, 2)
	done := make(chan struct{}, 2)
	// Both are owned by this call, which ends them and waits for them.
	go func() {
		defer func() { done <- struct{}{} }()
		failed <- w.read(ctx, events)
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		failed <- w.ping(ctx)
	}()
	err = w.run(ctx, quotes, events, failed, moved)
	cancel()
	_ = conn.CloseNow() // there is nothing to say
	<-done
	<-done
	return fmt.Errorf("watching quotes at %s: %w", c.url, c.http.Classify(ctx, err))
}

func (c *Client) dialWatch(ctx context.Context) (*websocket.Conn, error) {
	dial, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	conn, _, err := websocket.Dial(dial, c.url+"/v1/ws", &websocket.DialOptions{HTTPClient: c.http.HTTP()})
	if err != nil {
		if dial.Err() != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("%w: no websocket within %s", wallets.ErrUnavailable, c.cfg.Timeout)
		}
		return nil, c.http.Classify(ctx, fmt.Errorf("opening websocket: %w", err))
	}
	conn.SetReadLimit(maxEvent)
	return conn, nil
}

// watch is one connection. But for read and ping it is used by one goroutine.
type watch struct {
	conn *websocket.Conn
	next int
	// subs are the quotes of each subscription that were not told of yet, order the
	// subscriptions, oldest first.
	subs  map[string][]string
	order []string
}

func (w *watch) run(ctx context.Context, quotes <-chan string, events <-chan []byte, failed <-chan error, moved func(string)) error {
	var fresh []string
	var flush <-chan time.Time
	for {
		select {
		case quote := <-quotes:
			if fresh = append(fresh, quote); flush == nil {
				flush = time.After(gather)
			}
		case <-flush:
			flush = nil
			if err := w.subscribe(ctx, fresh); err != nil {
				return err
			}
			fresh = nil
		case message := <-events:
			for _, quote := range w.told(message) {
				moved(quote)
			}
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// subscribe follows more quotes. Where that would be too many subscriptions it puts the youngest
// quotes of all of them into few.
func (w *watch) subscribe(ctx context.Context, quotes []string) error {
	if len(w.order)+len(quotes)/maxFilters+2 > maxSubs {
		var all []string
		for _, sub := range w.order {
			all = append(all, w.subs[sub]...)
			if err := w.send(ctx, "unsubscribe", map[string]any{"subId": sub}); err != nil {
				return err
			}
		}
		w.subs, w.order = make(map[string][]string), nil
		quotes = append(all, quotes...)
		quotes = quotes[max(0, len(quotes)-MaxWatched):]
	}
	for len(quotes) > 0 {
		n, size := 0, 0
		for n < len(quotes) && n < maxFilters && size+len(quotes[n]) <= maxFilterBytes {
			size += len(quotes[n])
			n++
		}
		n = max(n, 1)
		w.next++
		sub := strconv.Itoa(w.next)
		w.subs[sub], w.order = slices.Clone(quotes[:n]), append(w.order, sub)
		params := map[string]any{"kind": kindMintQuote, "subId": sub, "filters": quotes[:n]}
		if err := w.send(ctx, "subscribe", params); err != nil {
			return err
		}
		quotes = quotes[n:]
	}
	return nil
}

func (w *watch) send(ctx context.Context, method string, params any) error {
	w.next++
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": w.next, "method": method, "params": params})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pingEvery)
	defer cancel()
	return w.conn.Write(ctx, websocket.MessageText, b)
}

// told reads a message and gives the quotes to ask for: the one that it is about, or all of its
// subscription where it does not say. Each quote is given once.
func (w *watch) told(message []byte) []string {
	var m struct {
		Params struct {
			SubID   string          `json:"subId"`
			Payload json.RawMessage `json:"payload"`
		} `json:"params"`
	}
	if json.Unmarshal(message, &m) != nil {
		return nil
	}
	quotes := w.subs[m.Params.SubID]
	if len(quotes) == 0 {
		return nil
	}
	var payload quoteJSON
	if json.Unmarshal(m.Params.Payload, &payload) == nil && slices.Contains(quotes, payload.Quote) {
		if state, err := payload.state(); err == nil && state == QuoteUnpaid {
			return nil
		}
		w.subs[m.Params.SubID] = slices.DeleteFunc(quotes, func(q string) bool { return q == payload.Quote })
		return []string{payload.Quote}
	}
	w.subs[m.Params.SubID] = nil
	return quotes
}

// read hands messages over until the connection ends.
func (w *watch) read(ctx context.Context, events chan<- []byte) error {
	for {
		_, message, err := w.conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("reading events: %w", err)
		}
		select {
		case events <- message:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ping sees now and then whether the mint is still there.
func (w *watch) ping(ctx context.Context) error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		pong, cancel := context.WithTimeout(ctx, pingEvery)
		err := w.conn.Ping(pong)
		cancel()
		if err != nil {
			return fmt.Errorf("waiting for a pong: %w", err)
		}
	}
}
