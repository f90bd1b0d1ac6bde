package watch

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	alice = netip.MustParseAddr("192.0.2.1")
	bob   = netip.MustParseAddr("192.0.2.2")
)

func TestRoomIsBounded(t *testing.T) {
	r := NewRoom(3, 2, 1)
	enter := func(addr netip.Addr, want error) func() {
		t.Helper()
		leave, err := r.Enter(addr)
		if !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
		return leave
	}
	first := enter(alice, nil)
	enter(alice, nil)
	enter(alice, ErrTooMany)
	enter(netip.MustParseAddr("::ffff:192.0.2.1"), ErrTooMany)
	third := enter(bob, nil)
	enter(netip.MustParseAddr("2001:db8::1"), ErrFull)
	first()
	enter(alice, nil)
	third()
	if r.Len() != 2 {
		t.Errorf("%d watch, want 2", r.Len())
	}
	if _, known := r.clients[netip.PrefixFrom(bob, 32)]; known {
		t.Error("a client that left is remembered")
	}
}

// stream runs a Stream until it ends by itself, in a bubble with its own clock.
func stream(t *testing.T, w Watch, life time.Duration) (body string, took time.Duration) {
	t.Helper()
	begin := time.Now()
	w.Until = begin.Add(life)
	out := httptest.NewRecorder()
	NewRoom(1, 1, 1).Stream(t.Context(), out, w)
	if got := out.Header().Get("Content-Type"); got != "text/event-stream" {
		t.Error(got)
	}
	return out.Body.String(), time.Since(begin)
}

func always(s State, err error) func(context.Context) (State, error) {
	return func(context.Context) (State, error) { return s, err }
}

func TestStreamTellsASettledPaymentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, took := stream(t, Watch{Ask: always(State{Name: Settled}, nil)}, time.Hour)
		if body != "event: state\ndata: {\"state\":\"settled\"}\n\n" || took != 0 {
			t.Errorf("%q after %v", body, took)
		}
	})
}

func TestStreamHearsOfThePayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan struct{})
		time.AfterFunc(500*time.Millisecond, func() { close(told) })
		ask := func(context.Context) (State, error) {
			select {
			case <-told:
				return State{Name: Settled}, nil
			default:
				return State{Name: Pending}, nil
			}
		}
		body, took := stream(t, Watch{Ask: ask, Told: told}, time.Hour)
		if !strings.HasSuffix(body, "data: {\"state\":\"settled\"}\n\n") || took != 500*time.Millisecond {
			t.Errorf("%q after %v", body, took)
		}
	})
}

func TestStreamAsksMoreSlowlyAndBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		body, took := stream(t, Watch{Ask: func(context.Context) (State, error) {
			asked++
			return State{Name: Pending, Blind: true}, nil
		}}, 10*time.Minute)
		if took != 10*time.Minute {
			t.Error("it took", took)
		}
		if asked < 60 || asked > 66 {
			t.Errorf("asked %d times in ten minutes", asked)
		}
		if n := strings.Count(body, "event: state"); n != 1 {
			t.Errorf("%d events for one state", n)
		}
		if n := strings.Count(body, ": \n\n"); n < 38 || n > 40 {
			t.Errorf("%d beats in ten minutes", n)
		}
	})
}

func TestStreamOutlivesAWalletThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		body, _ := stream(t, Watch{Ask: func(context.Context) (State, error) {
			if asked++; asked < 5 {
				return State{}, errors.New("down")
			}
			return State{Name: Expired}, nil
		}}, time.Hour)
		if strings.ReplaceAll(body, ": \n\n", "") != "event: state\ndata: {\"state\":\"pending\"}\n\nevent: state\ndata: {\"state\":\"expired\"}\n\n" {
			t.Errorf("%q", body)
		}
	})
}

func TestStreamEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := func(ctx context.Context) (State, error) { <-ctx.Done(); return State{}, ctx.Err() }
		for _, ask := range []func(context.Context) (State, error){always(State{Name: Pending}, nil), hangs} {
			closing, shut := context.WithCancel(t.Context())
			time.AfterFunc(time.Minute, shut)
			if _, took := stream(t, Watch{Ask: ask, Closing: closing}, time.Hour); took != time.Minute {
				t.Error("it ended after", took)
			}
		}
	})
}

func TestStreamEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		begin := time.Now()
		NewRoom(1, 1, 1).Stream(ctx, httptest.NewRecorder(), Watch{
			Ask: always(State{Name: Pending}, nil), Until: begin.Add(time.Hour),
		})
		if took := time.Since(begin); took != time.Minute {
			t.Error("it ended after", took)
		}
	})
}

func TestQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := NewRoom(10, 10, 2)
		var asking, most atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		for range 10 {
			go room.Stream(ctx, httptest.NewRecorder(), Watch{ // ends with ctx
				Ask: func(ctx context.Context) (State, error) {
					most.Store(max(most.Load(), asking.Add(1)))
					<-ctx.Done() // a wallet that hangs
					asking.Add(-1)
					return State{}, ctx.Err()
				},
				Until: time.Now().Add(time.Hour),
			})
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		if n := most.Load(); n != 2 {
			t.Errorf("%d questions at the same time, want 2", n)
		}
	})
}
