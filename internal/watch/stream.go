package watch

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// The states that a watcher is told. All but Pending end a stream.
const (
	Pending = "pending"
	Settled = "settled"
	Expired = "expired"
)

// State is what a watcher is told of a payment, as JSON.
type State struct {
	// Name is Pending, Settled or Expired.
	Name string `json:"state"`
	// Blind says that the wallet cannot tell, so that the payer has to show the preimage.
	Blind bool `json:"blind,omitempty"`
}

// The pace of a stream.
const (
	// askFirst is the time between the first two questions; each further one is longer by half,
	// up to askLast.
	askFirst = 2 * time.Second
	askLast  = 10 * time.Second
	// beatEvery is how often something is written, so that proxies keep the connection and a
	// client that is gone shows.
	beatEvery = 15 * time.Second
	// writeTimeout is how long a client may take to read one event.
	writeTimeout = 10 * time.Second
)

// Watch is one watcher's question.
type Watch struct {
	// Ask tells the payment's state. It is bounded in time by itself and by its context.
	Ask func(context.Context) (State, error)
	// Told is closed when the payment is known to be settled; Ask then says so without asking
	// a wallet.
	Told <-chan struct{}
	// Closing ends when the server begins to shut down. The client comes again, to whatever
	// serves then. Nil is a server that never does.
	Closing context.Context
	// Until ends the stream at the latest.
	Until time.Time
}

// Stream writes events until the payment's state is final, the client is gone, the server closes
// or the time is over. It runs in the request's goroutine and starts none.
func (r *Room) Stream(ctx context.Context, w http.ResponseWriter, watch Watch) {
	ctx, cancel := context.WithDeadline(ctx, watch.Until)
	defer cancel()
	if watch.Closing != nil {
		defer context.AfterFunc(watch.Closing, cancel)()
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform") // compressing would hold events back
	h.Set("X-Accel-Buffering", "no")                 // nginx in front would hold events back
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	out := writer{http.NewResponseController(w), w}

	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	pause := askFirst
	again := time.NewTimer(0)
	defer again.Stop()
	var told State
	hear := watch.Told
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			if out.write(": \n\n") != nil {
				return
			}
			continue
		case <-hear:
			hear = nil // one question more, and then the timer's
		case <-again.C:
			again.Reset(pause)
			pause = min(pause+pause/2, askLast)
		}
		state, err := r.ask(ctx, watch.Ask)
		if err != nil || state == told {
			if told != (State{}) {
				continue
			}
			// The first event goes out in any case: it shows that nothing on the way holds
			// events back.
			state = State{Name: Pending}
		}
		told = state
		if out.event(state) != nil || state.Name != Pending {
			return
		}
	}
}

// writer writes to one client, in a bounded time.
type writer struct {
	*http.ResponseController
	w http.ResponseWriter
}

func (w writer) event(state State) error {
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return w.write("event: state\ndata: " + string(data) + "\n\n")
}

func (w writer) write(text string) error {
	// Where the connection knows no deadlines, the server's own have to do.
	_ = w.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := w.w.Write([]byte(text)); err != nil {
		return err
	}
	return w.Flush()
}
