package cashier

import (
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

func TestQuietHostListensForNothing(t *testing.T) {
	c, w, guest := newToy(t)
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	quiet := &Host{Name: "w", Logger: zap.NewNop(), Guest: guest, Storage: storage, Quiet: true}
	c.Attach(quiet)
	if err := w.env.Store(t.Context(), "value", []byte("x")); err != nil {
		t.Errorf("a quiet host lends no storage: %v", err)
	}
	select {
	case <-w.cursors:
		t.Error("settlements are listened for")
	case <-time.After(50 * time.Millisecond):
	}
	c.Detach(quiet)
	// A configuration that runs listens as ever.
	host := &Host{Name: "w", Logger: zap.NewNop(), Guest: guest, Storage: storage}
	c.Attach(host)
	defer c.Detach(host)
	select {
	case <-w.cursors:
	case <-time.After(10 * time.Second):
		t.Error("settlements are not listened for")
	}
}

func TestClosingTwice(t *testing.T) {
	c, w, _ := newToy(t)
	if err := c.Close(); err != nil || !w.closed.Swap(false) {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil || w.closed.Load() {
		t.Error("the wallet was closed twice", err)
	}
	w.closed.Store(true) // for the clean-up, which closes once more
}
