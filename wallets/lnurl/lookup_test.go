package lnurl

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnurl/lnurltest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestVerifyLies(t *testing.T) {
	otherNode := wallettest.NewNode(t, wallets.Regtest)
	other, err := otherNode.Issue(wallettest.Terms{Amount: usual})
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(t, lnurltest.Options{})
	w := open(t, newEnv(t), server, nil)
	inv := mustInvoice(t, w)
	preimage := server.Pay(t, inv.PaymentRequest)
	sameHash, err := otherNode.Issue(wallettest.Terms{Amount: usual - 1, Preimage: &preimage})
	if err != nil {
		t.Fatal(err)
	}
	wrongNetwork, err := wallettest.NewNode(t, wallets.Signet).Issue(wallettest.Terms{Amount: usual, Preimage: &preimage})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key   string
		value any
	}{
		"another invoice":          {"pr", other.Invoice},
		"an invoice for less":      {"pr", sameHash.Invoice},
		"an invoice of signet":     {"pr", wrongNetwork.Invoice},
		"no invoice":               {"pr", ""},
		"invoice null":             {"pr", nil},
		"invoice a number":         {"pr", 1},
		"another preimage":         {"preimage", other.Preimage.String()},
		"half a preimage":          {"preimage", preimage.String()[:32]},
		"preimage no hex":          {"preimage", strings.Repeat("x", 64)},
		"preimage a number":        {"preimage", 7},
		"settled missing":          {"settled", nil},
		"settled a text":           {"settled", "true"},
		"settled a number":         {"settled", 1},
		"an error, settled or not": {"status", "ERROR"},
	} {
		server.Change(func(_ string, a map[string]any) { a[c.key] = c.value })
		st, err := lookup(w, inv.PaymentHash)
		if err == nil || errors.Is(err, wallets.ErrNotFound) {
			t.Errorf("%s: got %v, %v", name, st, err)
		}
		if err != nil && strings.Contains(err.Error(), preimage.String()[:16]) {
			t.Errorf("%s: the error holds the preimage", name)
		}
	}
	// What is no proof of anything is no harm.
	for name, c := range map[string]any{"null": nil, "empty": "", "zeros": strings.Repeat("0", 64)} {
		server.Change(func(_ string, a map[string]any) { a["preimage"] = c })
		if st := wantState(t, w, inv.PaymentHash, wallets.StateSettled); st.Preimage != nil {
			t.Errorf("%s: a preimage came out", name)
		}
	}
	server.Change(func(_ string, a map[string]any) { a["preimage"] = strings.ToUpper(preimage.String()) })
	if st := wantState(t, w, inv.PaymentHash, wallets.StateSettled); st.Preimage == nil || *st.Preimage != preimage {
		t.Error("a preimage in upper case is none")
	}
	// A server that tells the preimage before the payment would give the goods away.
	server.Change(func(_ string, a map[string]any) { a["settled"] = false })
	if st := wantState(t, w, inv.PaymentHash, wallets.StatePending); st.Preimage != nil || st.AmountPaid != 0 {
		t.Errorf("an unpaid invoice has %+v", st)
	}
}

func TestVerifyKnowsNoInvoice(t *testing.T) {
	server := newServer(t, lnurltest.Options{})
	w := open(t, newEnv(t), server, nil)
	inv := mustInvoice(t, w)
	for name, change := range map[string]func(map[string]any){
		"as LUD-21 says": func(a map[string]any) { clear(a); a["status"], a["reason"] = "ERROR", "Not found" },
		"with 404": func(a map[string]any) {
			clear(a)
			a["status"], a["reason"], a["http"] = "ERROR", "no invoice", http.StatusNotFound
		},
		"with 404 alone": func(a map[string]any) { clear(a); a["http"] = http.StatusNotFound },
	} {
		server.Change(func(_ string, a map[string]any) { change(a) })
		if _, err := lookup(w, inv.PaymentHash); !errors.Is(err, wallets.ErrNotFound) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestPatternOutlivesTheProcess is about servers that put the hash into the address.
func TestPatternOutlivesTheProcess(t *testing.T) {
	env := newEnv(t)
	server := newServer(t, lnurltest.Options{})
	w := open(t, env, server, nil)
	var made []*wallets.Invoice
	for range 50 {
		made = append(made, mustInvoice(t, w))
	}
	if n := env.Stores(); n != 0 {
		t.Fatalf("invoices alone caused %d writes", n)
	}
	for _, inv := range made[:20] {
		wantState(t, w, inv.PaymentHash, wallets.StatePending)
	}
	if names := env.Names(); env.Stores() != 1 || len(names) != 1 || names[0] != patternName {
		t.Fatalf("20 look-ups wrote %d times, to %v", env.Stores(), names)
	}
	// A new process finds all of them, those that were never looked up too.
	again := open(t, env, server, nil)
	server.Pay(t, made[49].PaymentRequest)
	if st := wantState(t, again, made[49].PaymentHash, wallets.StateSettled); st.AmountPaid != usual || st.Preimage == nil {
		t.Errorf("after a restart: %+v", st)
	}
	wantState(t, again, made[30].PaymentHash, wallets.StatePending)
	if _, err := lookup(again, lntypes.Hash{1}); !errors.Is(err, wallets.ErrNotFound) {
		t.Errorf("unknown hash: %v", err)
	}
	if env.Stores() != 1 {
		t.Errorf("the pattern was written %d times", env.Stores())
	}
}

// TestPatternIsLearnedAnew has nothing in storage: the first invoices of the new process teach it.
func TestPatternIsLearnedAnew(t *testing.T) {
	server := newServer(t, lnurltest.Options{})
	inv := mustInvoice(t, open(t, newEnv(t), server, nil))
	server.Pay(t, inv.PaymentRequest)
	w := open(t, newEnv(t), server, nil)
	_, err := lookup(w, inv.PaymentHash)
	wantErr(t, err, wallets.ErrLookupUnsupported, "LUD-21")
	mustInvoice(t, w)
	_, err = lookup(w, inv.PaymentHash)
	wantErr(t, err, wallets.ErrNotFound, "") // one address alone is no pattern
	mustInvoice(t, w)
	wantState(t, w, inv.PaymentHash, wallets.StateSettled)
}

// TestAddressOutlivesTheProcess is about servers whose addresses show no pattern.
func TestAddressOutlivesTheProcess(t *testing.T) {
	env := newEnv(t)
	server := newServer(t, lnurltest.Options{Verify: lnurltest.VerifyRandom})
	w := open(t, env, server, nil)
	shown, unseen, paid := mustInvoice(t, w), mustInvoice(t, w), mustInvoice(t, w)
	if env.Stores() != 0 {
		t.Fatal("invoices alone caused writes")
	}
	server.Pay(t, paid.PaymentRequest)
	for range 3 {
		wantState(t, w, shown.PaymentHash, wallets.StatePending)
		wantState(t, w, paid.PaymentHash, wallets.StateSettled)
	}
	if env.Stores() != 2 {
		t.Errorf("two invoices that were looked up caused %d writes", env.Stores())
	}
	again := open(t, env, server, nil)
	wantState(t, again, shown.PaymentHash, wallets.StatePending)
	server.Pay(t, shown.PaymentRequest)
	wantState(t, again, shown.PaymentHash, wallets.StateSettled)
	wantState(t, again, paid.PaymentHash, wallets.StateSettled)
	_, err := lookup(again, unseen.PaymentHash)
	wantErr(t, err, wallets.ErrLookupUnsupported, "LUD-21")
	mustInvoice(t, again)
	_, err = lookup(again, unseen.PaymentHash)
	wantErr(t, err, wallets.ErrNotFound, "")
}

// TestServerThatChanges gives addresses by hash, then at another place, then without a pattern.
func TestServerThatChanges(t *testing.T) {
	env := newEnv(t)
	server := newServer(t, lnurltest.Options{})
	w := open(t, env, server, nil)
	old := []*wallets.Invoice{mustInvoice(t, w), mustInvoice(t, w)}
	wantState(t, w, old[0].PaymentHash, wallets.StatePending)
	server.Change(func(path string, a map[string]any) {
		if a["verify"] != nil {
			a["verify"] = strings.Replace(a["verify"].(string), "/verify/", "/moved/verify/", 1)
		}
	})
	moved := []*wallets.Invoice{mustInvoice(t, w), mustInvoice(t, w)}
	n := 0
	server.Change(func(_ string, a map[string]any) {
		if a["verify"] != nil {
			n++
			a["verify"] = fmt.Sprintf("%s?n=%d", a["verify"], n)
		}
	})
	mixed := []*wallets.Invoice{mustInvoice(t, w), mustInvoice(t, w)}
	server.Change(nil)
	for i, inv := range append(append(old, moved...), mixed...) {
		st, err := lookup(w, inv.PaymentHash)
		if moved := i == 2 || i == 3; moved {
			// The double has nothing there; what counts is that it was asked there.
			calls := server.Calls()
			if last := calls[len(calls)-1].Path; err == nil || last != "/moved/verify/"+inv.PaymentHash.String()+"/done" {
				t.Errorf("invoice %d was looked up at %s: %v", i, last, err)
			}
			continue
		}
		if err != nil || st.State != wallets.StatePending {
			t.Errorf("invoice %d: %v, %v", i, st, err)
		}
	}
	// Those with a number of their own follow no pattern, so their addresses are stored.
	again := open(t, env, server, nil)
	for _, inv := range append(mixed, old...) {
		wantState(t, again, inv.PaymentHash, wallets.StatePending)
	}
}

func TestUnpaidLookUpsWriteLittle(t *testing.T) {
	env := newEnv(t)
	server := newServer(t, lnurltest.Options{Verify: lnurltest.VerifyRandom})
	w := open(t, env, server, nil)
	start := time.Now()
	for range 100 {
		wantState(t, w, mustInvoice(t, w).PaymentHash, wallets.StatePending)
	}
	most := writesAtOnce + int(time.Since(start).Seconds()*writesPerSecond) + 1
	if n := env.Stores(); n > most {
		t.Errorf("100 unpaid invoices caused %d writes, more than %d", n, most)
	}
	// Payments are always kept.
	inv := mustInvoice(t, w)
	server.Pay(t, inv.PaymentRequest)
	wantState(t, w, inv.PaymentHash, wallets.StateSettled)
	wantState(t, open(t, env, server, nil), inv.PaymentHash, wallets.StateSettled)
}

func TestListsAreBounded(t *testing.T) {
	env := newEnv(t)
	server := newServer(t, lnurltest.Options{})
	w := open(t, env, server, nil)
	var last lntypes.Hash
	for i := range maxListed + 10 {
		last = lntypes.Hash{7, byte(i), byte(i >> 8)}
		if err := w.storeAddress(t.Context(), last, "https://example.com/verify/x"); err != nil {
			t.Fatal(err)
		}
	}
	list, err := w.loadList(t.Context(), last)
	if err != nil || len(list) != maxListed || list[maxListed-1].Hash != last.String() {
		t.Errorf("%d addresses, %v", len(list), err)
	}
	if err := w.storeAddress(t.Context(), last, "https://example.com/"+strings.Repeat("x", maxStored)); err == nil {
		t.Error("a long address was stored")
	}
}

func TestStorageFails(t *testing.T) {
	env := newEnv(t)
	server := newServer(t, lnurltest.Options{Verify: lnurltest.VerifyRandom})
	w := open(t, env, server, nil)
	inv := mustInvoice(t, w)
	down := errors.New("storage is down")
	env.FailStorage(down)
	// What is in memory needs no storage.
	wantState(t, w, inv.PaymentHash, wallets.StatePending)
	if !strings.Contains(env.Log(), "after a restart its payer needs the preimage") {
		t.Error("no word of the failed write")
	}
	// A hash that may be in storage is not said to be unknown.
	_, err := lookup(w, lntypes.Hash{1})
	wantErr(t, err, wallets.ErrUnavailable, "storage is down")
	env.FailStorage(nil)
	wantState(t, w, inv.PaymentHash, wallets.StatePending)
	wantState(t, open(t, env, server, nil), inv.PaymentHash, wallets.StatePending)
}

// TestForeignStorage has things in storage that the wallet did not write.
func TestForeignStorage(t *testing.T) {
	server := newServer(t, lnurltest.Options{})
	hash := lntypes.Hash{5}
	for name, c := range map[string]struct{ object, value string }{
		"garbage list":     {nameOfList(hash), "\x00garbage"},
		"garbage pattern":  {patternName, "[]"},
		"list of another":  {nameOfList(hash), `[{"hash":"00","address":"https://x.example/"}]`},
		"pattern of none":  {patternName, `{"before":"","after":"x"}`},
		"bad scheme":       {nameOfList(hash), `[{"hash":"` + hash.String() + `","address":"file:///etc/passwd"}]`},
		"pattern password": {patternName, `{"before":"https://u:p@x.example/","after":""}`},
	} {
		env := newEnv(t)
		if err := env.Store(t.Context(), c.object, []byte(c.value)); err != nil {
			t.Fatal(err)
		}
		w := open(t, env, server, nil)
		if st, err := lookup(w, hash); err == nil {
			t.Errorf("%s: got %v", name, st)
		}
	}
	if n := len(server.Calls()); n > 0 {
		t.Errorf("the server was called %d times", n)
	}
}

func TestLookUpsAtOnce(t *testing.T) {
	env := newEnv(t)
	server := newServer(t, lnurltest.Options{})
	w := open(t, env, server, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				inv, err := invoice(w, usual)
				if err != nil {
					t.Error(err)
					return
				}
				server.Pay(t, inv.PaymentRequest)
				if st, err := lookup(w, inv.PaymentHash); err != nil || st.State != wallets.StateSettled {
					t.Errorf("%v, %v", st, err)
				}
			}
		})
	}
	wg.Wait()
}
