package e2e

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
)

// TestUnpaidWritesNothing shows that visitors who do not pay leave nothing in the storage, with
// credentials that are refused or without any.
func TestUnpaidWritesNothing(t *testing.T) {
	_, gw, _ := lndShop(t, "limit off")
	ch := gw.Challenge(t, "/premium/a")
	waitStable(t, gw.Options.Storage)
	before := listing(t, gw.Options.Storage)
	if len(before) == 0 {
		t.Fatal("the storage is empty; the signing key should be there")
	}
	for i := range 200 {
		path := fmt.Sprintf("/premium/%d", i)
		gw.Get(t, path)
		gw.Get(t, path, client.Auth(client.Token{Macaroon: ch.Macaroon, Preimage: fmt.Sprintf("%064x", i)}))
		gw.Get(t, path, client.Auth(client.Token{Macaroon: ch.Macaroon}))
	}
	waitStable(t, gw.Options.Storage)
	if after := listing(t, gw.Options.Storage); !slices.Equal(before, after) {
		t.Errorf("600 unpaid requests changed the storage from\n%q\nto\n%q", before, after)
	}
}

// listing names each file with its size and time of change.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all = append(all, fmt.Sprint(path, " ", info.Size(), " ", info.ModTime().UnixNano()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// waitStable waits until the storage has not changed for half a second: Caddy itself and the
// wallet's start write a little.
func waitStable(t *testing.T, dir string) {
	t.Helper()
	last, since := listing(t, dir), time.Now()
	for begin := since; time.Since(since) < 500*time.Millisecond; time.Sleep(50 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("the storage keeps changing")
		}
		if now := listing(t, dir); !slices.Equal(now, last) {
			last, since = now, time.Now()
		}
	}
}
