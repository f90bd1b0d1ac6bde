package mint_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

func TestNewRefuses(t *testing.T) {
	for _, address := range []string{"", "mint.example.com", "ftp://mint.example.com", "https://", "https://user:pw@mint.example.com", "https://mint.example.com/?x=1", "http://mint.example.com", "http://10.0.0.1"} {
		if _, err := mint.New(mint.Config{URL: address}); !errors.Is(err, token.ErrMintURL) {
			t.Errorf("%q: got %v", address, err)
		}
	}
	for _, cfg := range []mint.Config{{URL: "http://mint.example.com", AllowHTTP: true}, {URL: "http://abc.onion"}, {URL: "http://[::1]:3338/x/"}, {URL: "https://Mint.example.com:443/"}} {
		c, err := mint.New(cfg)
		if err != nil {
			t.Errorf("%q: %v", cfg.URL, err)
			continue
		}
		if strings.HasSuffix(c.URL(), "/") || strings.Contains(c.URL(), "443") {
			t.Errorf("address %s", c.URL())
		}
		_ = c.Close()
	}
}

func TestKeysetsAreCached(t *testing.T) {
	m := minttest.New(t, minttest.Options{FeePPK: 100})
	now := time.Now()
	var mu sync.Mutex
	c := newClient(t, m, func(cfg *mint.Config) {
		cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	forward := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Active(t.Context(), "sat"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	first := active(t, c, "sat")
	if n := m.Calls("/v1/keysets"); n > 2 {
		t.Errorf("%d lists", n)
	}
	calls := m.Calls("/v1/keysets") + m.Calls("/v1/keys/"+string(first.ID))
	active(t, c, "sat")
	if n := m.Calls("/v1/keysets") + m.Calls("/v1/keys/"+string(first.ID)); n != calls {
		t.Errorf("%d calls more", n-calls)
	}
	second := m.Rotate(200)
	if k := active(t, c, "sat"); k.ID != first.ID {
		t.Error("the list was not cached")
	}
	forward(mint.DefaultKeysetAge)
	if k := active(t, c, "sat"); k.ID != second || k.InputFeePPK != 200 || len(k.Keys) != 32 {
		t.Errorf("got %s", k.ID)
	}
	if old, err := c.Keyset(t.Context(), first.ID); err != nil || old.Active || old.Keys == nil {
		t.Errorf("got %+v, %v", old, err)
	}
	// A keyset that is not listed is looked for once in a while, not each time.
	third := m.Rotate(0)
	before := m.Calls("/v1/keysets")
	for range 5 {
		if _, err := c.Keyset(t.Context(), third); !errors.Is(err, ecash.ErrUnknownKeyset) {
			t.Errorf("got %v", err)
		}
	}
	if n := m.Calls("/v1/keysets"); n != before {
		t.Errorf("%d calls more", n-before)
	}
	forward(time.Minute)
	if k, err := c.Keyset(t.Context(), third); err != nil || k.ID != third {
		t.Errorf("got %+v, %v", k, err)
	}
	// A mint that is away does not make the keysets go away.
	forward(mint.DefaultKeysetAge)
	m.Break(minttest.Fault{Path: "/v1/keysets", Kind: minttest.Drop})
	if _, err := c.Active(t.Context(), "sat"); err != nil {
		t.Error(err)
	}
	if err := c.Refresh(t.Context()); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Active(t.Context(), "usd"); !errors.Is(err, mint.ErrNoKeyset) {
		t.Errorf("got %v", err)
	}
}

func TestResolveAtMint(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	c := newClient(t, m, nil)
	k := active(t, c, "sat")
	tok := m.Token(t, 1, 2)
	tok.Proofs[0].KeysetID = tok.Proofs[0].KeysetID.Short()
	if err := c.Resolve(t.Context(), tok, "sat"); err != nil || tok.Proofs[0].KeysetID != k.ID {
		t.Errorf("got %v", err)
	}
	if err := c.Resolve(t.Context(), tok, "msat"); !errors.Is(err, mint.ErrUnit) {
		t.Errorf("another unit: %v", err)
	}
	tok.Proofs[1].KeysetID = "01ffffffffffffff"
	if err := c.Resolve(t.Context(), tok, "sat"); !errors.Is(err, ecash.ErrUnknownKeyset) {
		t.Errorf("foreign keyset: %v", err)
	}
}

func TestFee(t *testing.T) {
	m := minttest.New(t, minttest.Options{FeePPK: 100})
	c := newClient(t, m, nil)
	for _, v := range []struct{ proofs, fee uint64 }{{0, 0}, {1, 1}, {10, 1}, {11, 2}, {20, 2}, {21, 3}} {
		if fee, err := c.Fee(t.Context(), m.Issue(t, nil, ones(v.proofs)...)); err != nil || fee != v.fee {
			t.Errorf("%d proofs: fee %d, %v", v.proofs, fee, err)
		}
	}
	if _, err := c.Fee(t.Context(), []token.Proof{{KeysetID: "00ffffffffffffff"}}); !errors.Is(err, ecash.ErrUnknownKeyset) {
		t.Errorf("got %v", err)
	}
}

func ones(n uint64) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

// answers is a mint that answers with fixed texts.
func answers(t testing.TB, pages map[string]string) *mint.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, page)
	}))
	t.Cleanup(server.Close)
	c, err := mint.New(mint.Config{URL: server.URL, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

const (
	goodID   = "00456a94ab4e1c46" // of NUT-02
	goodKeys = `{"1":"03a40f20667ed53513075dc51e715ff2046cad64eb68960632269ba7f0210e38bc","2":"03fd4ce5a16b65576145949e6f99f445f8249fee17c606b688b504a849cdc452de","4":"02648eccfa4c026960966276fa5a4cae46ce0fd432211a4f449bf84f13aa5f8303","8":"02fdfd6796bfeac490cbee12f778f867f0a2c68f6508d17c649759ea0dc3547528"}`
)

// Keys that do not fit their keyset are refused, among them the vectors of NUT-01.
func TestBadKeys(t *testing.T) {
	page := func(id, keys string) string {
		return `{"keysets":[{"id":"` + id + `","unit":"sat","keys":` + keys + `}]}`
	}
	list := `{"keysets":[{"id":"` + goodID + `","unit":"sat","active":true}]}`
	if k, err := answers(t, map[string]string{"/v1/keysets": list, "/v1/keys/" + goodID: page(goodID, goodKeys)}).Keyset(t.Context(), goodID); err != nil || len(k.Keys) != 4 {
		t.Fatalf("got %+v, %v", k, err)
	}
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf(`"%d":"03a40f20667ed53513075dc51e715ff2046cad64eb68960632269ba7f0210e38bc"`, i+1))
	}
	for name, body := range map[string]string{
		"a byte is missing":  page(goodID, strings.Replace(goodKeys, "0e38bc", "0e38", 1)),
		"uncompressed":       page(goodID, strings.Replace(goodKeys, "03fd4ce5a16b65576145949e6f99f445f8249fee17c606b688b504a849cdc452de", "04fd4ce5a16b65576145949e6f99f445f8249fee17c606b688b504a849cdc452de3625246cb2c27dac965cb7200a5986467eee92eb7d496bbf1453b074e223e481", 1)),
		"a key exchanged":    page(goodID, strings.Replace(goodKeys, "03a40f", "02a40f", 1)),
		"a key is missing":   page(goodID, `{"1":"03a40f20667ed53513075dc51e715ff2046cad64eb68960632269ba7f0210e38bc"}`),
		"no keys":            page(goodID, `{}`),
		"amount zero":        page(goodID, strings.Replace(goodKeys, `"1"`, `"0"`, 1)),
		"amount as 01":       page(goodID, strings.Replace(goodKeys, `"1"`, `"01"`, 1)),
		"amount is no count": page(goodID, strings.Replace(goodKeys, `"1"`, `"x"`, 1)),
		"another keyset":     page("00ffffffffffffff", goodKeys),
		"another unit":       strings.Replace(page(goodID, goodKeys), `"sat"`, `"usd"`, 1),
		"nothing":            `{"keysets":[]}`,
		"too many":           page(goodID, "{"+strings.Join(many, ",")+"}"),
		"no JSON":            `<html>`,
	} {
		k, err := answers(t, map[string]string{"/v1/keysets": list, "/v1/keys/" + goodID: body}).Keyset(t.Context(), goodID)
		if !errors.Is(err, wallets.ErrBadAnswer) {
			t.Errorf("%s: got %+v, %v", name, k, err)
		}
	}
	twice := `{"keysets":[{"id":"` + goodID + `","unit":"sat"},{"id":"` + goodID + `","unit":"usd"}]}`
	if _, err := answers(t, map[string]string{"/v1/keysets": twice}).Keysets(t.Context()); !errors.Is(err, mint.ErrCheated) {
		t.Errorf("listed twice: %v", err)
	}
	old := `{"keysets":[{"id":"I2yN+iRYfkzT","unit":"sat"},{"id":"02ffffffffffffff","unit":"sat"},{"id":"` + goodID + `","unit":"sat"}]}`
	if list, err := answers(t, map[string]string{"/v1/keysets": old}).Keysets(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("ids of other times: %v, %v", list, err)
	}
	if _, err := answers(t, nil).Keysets(t.Context()); !errors.Is(err, mint.ErrUnsupported) {
		t.Errorf("not a mint: %v", err)
	}
}

func TestInfo(t *testing.T) {
	m := minttest.New(t, minttest.Options{Cached: true, NoRestore: true})
	c := newClient(t, m, nil)
	for range 3 {
		info, err := c.Info(t.Context())
		if err != nil || info.Name != "minttest" || !info.Supports(7) || info.Supports(9) || info.Supports(99) {
			t.Fatalf("got %+v, %v", info, err)
		}
		if ttl, ok := info.Cached("/v1/swap"); !ok || ttl != time.Minute {
			t.Errorf("cached for %s, %t", ttl, ok)
		}
		if _, ok := info.Cached("/v1/melt/bolt11"); ok {
			t.Error("melts are not cached")
		}
	}
	if m.Calls("/v1/info") != 1 {
		t.Errorf("%d calls", m.Calls("/v1/info"))
	}
	c = answers(t, map[string]string{"/v1/info": `{"nuts":{"4":{"methods":[],"disabled":true},"17":{"supported":[{}]},"19":{"ttl":null,"cached_endpoints":[{"method":"POST","path":"/v1/swap"}]},"9":{"supported":false}}}`})
	info, err := c.Info(t.Context())
	if err != nil || info.Supports(4) || !info.Supports(17) || info.Supports(9) {
		t.Errorf("got %+v, %v", info, err)
	}
	if ttl, ok := info.Cached("/v1/swap"); !ok || ttl != 0 {
		t.Errorf("cached for %s, %t", ttl, ok)
	}
}

func TestRefusals(t *testing.T) {
	for body, want := range map[string]error{
		`{"detail":"x","code":11001}`: mint.ErrSpent, `{"detail":"x","code":11002}`: mint.ErrPending,
		`{"detail":"x","code":11003}`: mint.ErrSigned, `{"detail":"x","code":10002}`: mint.ErrSigned,
		`{"detail":"x","code":12002}`: mint.ErrKeyset, `{"detail":"x","code":20001}`: mint.ErrNotPaid,
		`{"detail":"x","code":20002}`: mint.ErrIssued, `{"detail":"x","code":20004}`: mint.ErrPaymentFailed,
		`{"detail":"x","code":20005}`: mint.ErrQuotePending, `{"detail":"x","code":20006}`: mint.ErrPaid,
		`{"detail":"x","code":20007}`: mint.ErrExpired, `{"detail":"x","code":10001}`: mint.ErrInvalidProof,
		`{"detail":[{"loc":"x"}]}`: mint.ErrRefused, `{"detail":"x","code":55555}`: mint.ErrRefused,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, body)
		}))
		c, err := mint.New(mint.Config{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Keysets(t.Context())
		var r *mint.Refusal
		if !errors.Is(err, want) || !errors.Is(err, mint.ErrRefused) || !errors.As(err, &r) || r.Status != 400 {
			t.Errorf("%s: got %v", body, err)
		}
		_ = c.Close()
		server.Close()
	}
}

// FuzzKeys feeds the reader of keysets with whatever a mint may say.
func FuzzKeys(f *testing.F) {
	f.Add(goodKeys)
	f.Add(`{"18446744073709551615":""}`)
	f.Fuzz(func(t *testing.T, keys string) {
		if !json.Valid([]byte(keys)) {
			return
		}
		list := `{"keysets":[{"id":"` + goodID + `","unit":"sat","active":true}]}`
		page := `{"keysets":[{"id":"` + goodID + `","unit":"sat","keys":` + keys + `}]}`
		k, err := answers(t, map[string]string{"/v1/keysets": list, "/v1/keys/" + goodID: page}).Keyset(t.Context(), goodID)
		if err == nil && k.Keys.IDv1() != goodID {
			t.Errorf("%s was accepted", keys)
		}
	})
}
