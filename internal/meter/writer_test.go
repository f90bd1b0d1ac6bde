package meter

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

// held makes a ledger with one reservation of a payment.
func held(t *testing.T, limit, cost ledger.Amount) (*ledger.Ledger, *ledger.Reservation) {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Options{Storage: &certmagic.FileStorage{Path: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	r, err := l.Reserve(t.Context(), ledger.UseRequest{Hash: [32]byte{1}, Limit: limit, Cost: cost, ValidUntil: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return l, r
}

var (
	twoUses = ledger.Amount{Uses: 2}
	oneUse  = ledger.Amount{Uses: 1}
)

func TestWhenAnAnswerIsCharged(t *testing.T) {
	for name, tc := range map[string]struct {
		always  bool
		answer  func(http.ResponseWriter) error
		charged bool
	}{
		"nothing written":           {false, func(http.ResponseWriter) error { return nil }, true},
		"200":                       {false, func(w http.ResponseWriter) error { w.WriteHeader(200); return nil }, true},
		"body alone":                {false, func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err }, true},
		"flush alone":               {false, func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }, true},
		"read from":                 {false, func(w http.ResponseWriter) error { _, err := io.Copy(w, bytes.NewReader([]byte("x"))); return err }, true},
		"404":                       {false, func(w http.ResponseWriter) error { w.WriteHeader(404); return nil }, true},
		"early hints, then 500":     {false, func(w http.ResponseWriter) error { w.WriteHeader(103); w.WriteHeader(500); return nil }, false},
		"early hints, then 200":     {false, func(w http.ResponseWriter) error { w.WriteHeader(103); w.WriteHeader(200); return nil }, true},
		"500":                       {false, func(w http.ResponseWriter) error { w.WriteHeader(500); return nil }, false},
		"500 then 200":              {false, func(w http.ResponseWriter) error { w.WriteHeader(500); w.WriteHeader(200); return nil }, false},
		"500, always":               {true, func(w http.ResponseWriter) error { w.WriteHeader(500); return nil }, true},
		"an error":                  {false, func(http.ResponseWriter) error { return errors.New("x") }, false},
		"an error of status 502":    {false, func(http.ResponseWriter) error { return caddyhttp.Error(502, errors.New("x")) }, false},
		"an error of status 404":    {false, func(http.ResponseWriter) error { return caddyhttp.Error(404, errors.New("x")) }, true},
		"switching protocols":       {false, func(w http.ResponseWriter) error { w.WriteHeader(101); return nil }, true},
		"an error after the header": {false, func(w http.ResponseWriter) error { w.WriteHeader(200); return errors.New("x") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			l, r := held(t, twoUses, oneUse)
			w := NewWriter(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), r, twoUses, tc.always)
			w.Finish(tc.answer(w))
			if w.Spent() != tc.charged || w.Refusal() != nil {
				t.Errorf("charged %v, want %v; refusal %v", w.Spent(), tc.charged, w.Refusal())
			}
			left, ok := l.Remaining([32]byte{1})
			if want := int64(2); tc.charged {
				want = 1
				if !ok || left.Uses != want {
					t.Errorf("%d uses are left, want %d", left.Uses, want)
				}
			} else if ok && left.Uses != want {
				t.Errorf("%d uses are left, want %d", left.Uses, want)
			}
		})
	}
}

func TestAClientThatIsGone(t *testing.T) {
	for _, always := range []bool{false, true} {
		_, r := held(t, twoUses, oneUse)
		ctx, cancel := context.WithCancel(t.Context())
		recorder := httptest.NewRecorder()
		w := NewWriter(recorder, httptest.NewRequest("GET", "/", nil).WithContext(ctx), r, twoUses, always)
		cancel()
		w.WriteHeader(200)
		_, err := w.Write([]byte("secret"))
		// Either it is charged and answered, or neither: it may have closed one half only.
		if w.Spent() != always || errors.Is(w.Refusal(), ErrGone) == always || (err == nil) != always ||
			(recorder.Body.Len() > 0) != always {
			t.Errorf("always %v: charged %v, %v, %v, %d bytes", always, w.Spent(), w.Refusal(), err, recorder.Body.Len())
		}
	}
}

func TestNoAnswerWithoutTheCharge(t *testing.T) {
	l, r := held(t, oneUse, oneUse)
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := l.Close(soon); err != nil {
		t.Log(err) // it waits for the request that holds a use, as long as it may
	}
	recorder := httptest.NewRecorder()
	w := NewWriter(recorder, httptest.NewRequest("GET", "/", nil), r, oneUse, false)
	w.WriteHeader(200)
	if _, err := w.Write([]byte("secret")); !errors.Is(err, ErrNotCharged) {
		t.Error(err)
	}
	if _, err := w.ReadFrom(bytes.NewReader([]byte("secret"))); !errors.Is(err, ErrNotCharged) {
		t.Error(err)
	}
	if err := w.FlushError(); !errors.Is(err, ErrNotCharged) {
		t.Error(err)
	}
	if _, _, err := w.Hijack(); !errors.Is(err, ErrNotCharged) {
		t.Error(err)
	}
	if recorder.Body.Len() > 0 || w.Spent() || !errors.Is(w.Refusal(), ErrNotCharged) {
		t.Error("an answer that could not be charged got out")
	}
}

func TestBytes(t *testing.T) {
	limit := ledger.Amount{Bytes: 10}
	_, r := held(t, limit, ledger.Amount{})
	w := NewWriter(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), r, limit, false)
	if _, err := w.Write([]byte("12345678")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("12345678")); !errors.Is(err, ErrBytesUsedUp) || !w.Cut() {
		t.Error(err)
	}
	if w.Header().Get(HeaderBytes) != "10" {
		t.Error(w.Header())
	}

	_, r = held(t, limit, ledger.Amount{})
	w = NewWriter(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), r, limit, false)
	w.Header().Set("Content-Length", "11")
	w.WriteHeader(200)
	if !errors.Is(w.Refusal(), ErrTooFewBytes) || w.Spent() {
		t.Error(w.Refusal())
	}

	_, r = held(t, limit, ledger.Amount{})
	w = NewWriter(httptest.NewRecorder(), httptest.NewRequest("HEAD", "/", nil), r, limit, false)
	w.Header().Set("Content-Length", "11")
	if _, err := w.Write(make([]byte, 11)); err != nil || w.Refusal() != nil {
		t.Error("HEAD:", err, w.Refusal())
	}
}

func TestAPanicGivesBack(t *testing.T) {
	for _, always := range []bool{false, true} {
		l, r := held(t, twoUses, oneUse)
		w := NewWriter(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), r, twoUses, always)
		w.Abandon()
		w.WriteHeader(200)
		want := int64(2)
		if always {
			want = 1
		}
		if left, ok := l.Remaining([32]byte{1}); w.Spent() != always || ok && left.Uses != want {
			t.Errorf("always %v: %d uses are left", always, left.Uses)
		}
	}
}

// hijackable is a recorder with a connection.
type hijackable struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

func TestBytesOfAConnectionThatWasTakenOver(t *testing.T) {
	limit := ledger.Amount{Bytes: 10}
	_, r := held(t, limit, ledger.Amount{})
	ours, theirs := net.Pipe()
	received := make(chan string)
	go func() { // ends with the connection
		all, _ := io.ReadAll(theirs)
		received <- string(all)
	}()
	w := NewWriter(hijackable{httptest.NewRecorder(), ours}, httptest.NewRequest("GET", "/", nil), r, limit, false)
	conn, buffered, err := w.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := buffered.WriteString("12345"); err != nil || buffered.Flush() != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("67890")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, ErrBytesUsedUp) {
		t.Error(err)
	}
	if got := <-received; got != "1234567890" {
		t.Errorf("%q was sent", got)
	}
}
