package caddyl402

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

func TestEcashBuysAToken(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "request_b", "l402 10 sat")
	a := s.want(402, "GET", "/", "Origin", "https://app.example")
	requests := a.Header.Values("X-Cashu")
	if len(requests) != 2 || !strings.HasPrefix(requests[0], "creqA") || !strings.HasPrefix(strings.ToLower(requests[1]), "creqb1") {
		t.Fatalf("requests %q", requests)
	}
	for _, text := range requests {
		r, err := token.ParseRequest(text)
		if err != nil || r.Amount != 10 || r.Unit != "sat" || len(r.Mints) != 1 || r.Mints[0] != s.mint.URL || r.Lock != nil {
			t.Errorf("request %+v, %v", r, err)
		}
	}
	if !strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "X-Cashu") || a.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("headers %v", a.Header)
	}

	paid := s.token(8, 4)
	a = s.want(200, "GET", "/", "X-Cashu", paid, "Origin", "https://app.example")
	change := s.change(a)
	if sum, err := change.Amount(); err != nil || sum != 2 {
		t.Errorf("change of %d, %v", sum, err)
	}
	if strings.Contains(a.body, "cashu") || strings.Contains(a.body, "L402") {
		t.Errorf("the upstream saw %s", a.body)
	}
	if control := a.Header.Get("Cache-Control"); !strings.Contains(control, "private") {
		t.Errorf("Cache-Control %q", control)
	}
	if !strings.Contains(strings.Join(a.Header.Values("Access-Control-Expose-Headers"), ","), "X-L402-Token") {
		t.Errorf("headers %v", a.Header)
	}
	line := a.Header.Get("X-L402-Token")
	s.want(200, "GET", "/", "Authorization", line)
	s.conserved(10, change)

	// The same ecash again, after an answer that was lost, gives the same again.
	again := s.want(200, "GET", "/", "X-Cashu", paid)
	if again.Header.Get("X-L402-Token") != line || again.Header.Get("X-Cashu") != a.Header.Get("X-Cashu") {
		t.Error("a repeated payment got something else")
	}
	s.conserved(10, change)
	eventually(t, "written down", func() bool { return len(bookOf(t, s.server)) == 1 })
}

func TestEcashInAuthorization(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 10 sat")
	text, err := s.mint.Token(t, 8, 2).EncodeA()
	if err != nil {
		t.Fatal(err)
	}
	a := s.want(200, "GET", "/", "Authorization", "cashu "+text, "Authorization", "Bearer other")
	if !strings.Contains(a.body, `authorization=["Bearer other"]`) || s.change(a) != nil {
		t.Errorf("got %s", a.body)
	}
	s.conserved(10)
}

// bookOf reads the records of payments.
func bookOf(t *testing.T, s *server) []ledger.Settlement {
	t.Helper()
	var found []ledger.Settlement
	for sale, err := range s.app().books.Ledger().Settlements(t.Context(), ledger.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if sale.Scheme != "Cashu" || sale.Wallet != "cashu" || sale.AmountMsat != 10_000 {
			t.Errorf("settlement %+v", sale)
		}
		found = append(found, sale)
	}
	return found
}

// With one use, the same ecash gets one passage, and a failure of the upstream costs nothing.
func TestEcashForOneUse(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 10 sat {\nuses 1\n}\nhandle /broken {\nrespond 500\n}")
	paid := s.token(8, 2)
	failed := s.want(500, "GET", "/broken", "X-Cashu", paid)
	line := failed.Header.Get("X-L402-Token")
	if line == "" {
		t.Fatal("the payer has nothing to try again with")
	}
	s.want(200, "GET", "/", "X-Cashu", paid)
	s.wantCode("uses_exhausted", "/", "X-Cashu", paid)
	s.wantCode("uses_exhausted", "/", "Authorization", line)
	if upstreamHits.Load() != 1 {
		t.Errorf("%d requests went on", upstreamHits.Load())
	}
	s.conserved(10)
}

func TestEcashRefusals(t *testing.T) {
	s := serveCashu(t, minttest.Options{FeePPK: 600}, "", "l402 10 sat")
	other := minttest.New(t, minttest.Options{})
	foreign := encodeEcash(t, other.Token(t, 8, 2))
	wrongUnit := s.mint.Token(t, 8, 2)
	wrongUnit.Unit = "usd"
	lockedAway := &token.Condition{Kind: token.KindP2PK, Data: strings.Repeat("02", 33)}
	lockedAway.Data = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	locked := &token.Token{Mint: s.mint.URL, Unit: "sat", Proofs: s.mint.Issue(t, lockedAway, 8, 4)}
	for name, test := range map[string]struct{ text, code string }{
		"another mint":        {foreign, codeEcashMint},
		"another unit":        {encodeEcash(t, wrongUnit), codeEcashUnit},
		"too little":          {s.token(8, 1), codeEcashAmount},
		"too little for fees": {s.token(4, 2, 2, 1, 1), codeEcashAmount}, // the mint takes 3
		"for somebody else":   {encodeEcash(t, locked), codeEcashLock},
		"no token":            {"hello", codeEcashMalformed},
		"half a token":        {s.token(8, 4)[:60], codeEcashMalformed},
		"a request":           {"creqAo2FhCmF1Y3NhdA", codeEcashMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.wantEcash(400, test.code, test.text)
			if !strings.HasPrefix(a.Header.Get("X-Cashu"), "creqA") || a.Header.Get("X-L402-Token") != "" || a.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("headers %v", a.Header)
			}
		})
	}
	a := s.want(400, "GET", "/", "X-Cashu", s.token(16), "X-Cashu", s.token(16))
	if a.code() != codeEcashMalformed {
		t.Errorf("got %q", a.code())
	}
	if other.Calls("/v1/keysets")+other.Calls("/v1/swap") != 0 {
		t.Error("a mint was asked that is not named")
	}
	spent := s.mint.Token(t, 8, 4)
	thief := encodeEcash(t, spent)
	s.want(200, "GET", "/", "X-Cashu", thief)
	part := &token.Token{Mint: spent.Mint, Unit: "sat", Proofs: append(s.mint.Token(t, 8).Proofs, spent.Proofs[1])}
	s.wantEcash(400, codeEcashSpent, encodeEcash(t, part))
	if p := part.Proofs[0]; s.mint.Spent(t, p) {
		t.Error("good ecash was taken with bad")
	}
	if b := s.house().Balance("sat"); b.Available != 10 || b.Reserved != 0 {
		t.Errorf("balance %+v", b)
	}
}

func TestEcashTurnedOff(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	for name, site := range map[string]string{
		"by route":       "l402 10 sat {\ncashu off\n}",
		"by credentials": "l402 10 sat {\ncredentials l402 bearer\n}",
	} {
		t.Run(name, func(t *testing.T) {
			s := &cashuSite{serve(t, "wallet play sandbox\n"+cashuBlock(m, ""), site+"\ntest_upstream"), m}
			text := s.token(8, 2)
			a := s.want(402, "GET", "/", "X-Cashu", text)
			if a.Header.Get("X-Cashu") != "" || m.Calls("/v1/swap") != 0 {
				t.Error("ecash is asked for or taken")
			}
		})
	}
	t.Run("alone", func(t *testing.T) {
		s := &cashuSite{serve(t, "wallet play sandbox\n"+cashuBlock(m, ""), "l402 10 sat {\ncredentials cashu\n}\ntest_upstream"), m}
		a := s.want(200, "GET", "/", "X-Cashu", s.token(8, 2))
		s.want(402, "GET", "/", "Authorization", a.Header.Get("X-L402-Token"))
	})
}

func TestEcashInMillisatoshi(t *testing.T) {
	s := serveCashu(t, minttest.Options{Unit: "msat"}, "unit msat\nmax_fee 100 msat", "l402 1500 msat")
	a := s.want(200, "GET", "/", "X-Cashu", s.token(1024, 512))
	if sum, err := s.change(a).Amount(); err != nil || sum != 36 {
		t.Errorf("change of %d, %v", sum, err)
	}
	s.conserved(1500, s.change(a))
}

// Ecash that bought one thing buys no other, however often it is shown.
func TestEcashBuysOneThing(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 /a* 10 sat\nl402 /b* 10 sat")
	paid := s.token(8, 2)
	s.want(200, "GET", "/a", "X-Cashu", paid)
	a := s.want(400, "GET", "/b", "X-Cashu", paid)
	if a.code() != codeEcashElsewhere || upstreamHits.Load() != 1 {
		t.Errorf("got %q", a.code())
	}
	s.want(400, "GET", "/a", "X-Cashu", paid, "Host", "other.test")
	s.want(200, "GET", "/a", "X-Cashu", paid)
	s.conserved(10)
}

// Two gates on a request's way: ecash pays the first that asks, and its token opens what it bought.
func TestEcashAtTwoGates(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "route {\nl402 10 sat {\nservice a\n}\nl402 10 sat {\nservice a\n}\nl402 10 sat {\nservice b\n}\ntest_upstream\n}")
	a := s.want(402, "GET", "/", "X-Cashu", s.token(8, 2))
	first := a.Header.Get("X-L402-Token")
	if first == "" || !strings.HasPrefix(a.Header.Get("X-Cashu"), "creqA") {
		t.Fatalf("headers %v", a.Header)
	}
	a = s.want(200, "GET", "/", "Authorization", first, "X-Cashu", s.token(8, 2))
	s.want(200, "GET", "/", "Authorization", first, "Authorization", a.Header.Get("X-L402-Token"))
	s.conserved(20)
}

func TestCashuSettings(t *testing.T) {
	site := func(cashu, l402 string) string {
		return "{\nstorage file_system " + t.TempDir() + "\nl402 {\nwallet play sandbox\ncashu {\n" + cashu + "\n}\n}\n}\nhttp://127.0.0.1:8402 {\nbind 127.0.0.1\nl402 " + l402 + "\n}\n"
	}
	for name, test := range map[string]struct{ cashu, l402, want string }{
		"not encrypted":     {"mint http://mint.example.com", "10 sat", "use https"},
		"no address":        {"mint mint.example.com", "10 sat", "must begin with https://"},
		"twice":             {"mint https://a.example https://A.example/", "10 sat", "named twice"},
		"seed":              {"mint https://a.example\nseed hello", "10 sat", "12 to 24 words"},
		"price":             {"mint https://a.example", "10500 msat", "cashu off"},
		"credentials":       {"mint https://a.example", "10 sat {\ncredentials l402\ncashu on\n}", "add cashu to `credentials`"},
		"p2pk age":          {"mint https://a.example\np2pk {\nmax_value 10 sat\nmax_age 1s\n}", "10 sat", "at least 1m"},
		"p2pk value":        {"mint https://a.example\np2pk {\nmax_value 1500 msat\n}", "10 sat", "whole number of sat"},
		"too short a while": {"mint https://a.example\ntimeout 1ms", "10 sat", "at least 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := outcome(site(test.cashu, test.l402)); !strings.Contains(got, test.want) {
				t.Errorf("got %s", got)
			}
		})
	}
	if got := outcome(site("mint https://a.example\nseed \"half depart obvious quality work element tank gorilla view sugar picture humble\"", "10500 msat {\ncashu off\n}")); !strings.HasPrefix(got, "{") {
		t.Error(got)
	}
}

func TestHeadersWithoutEcash(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 10 sat")
	s.want(402, http.MethodGet, "/", "X-Cashu", "")
	s.want(402, http.MethodGet, "/", "Authorization", "Cashu ")
}

// FuzzEcashHeaders: what is stripped is what is found, nothing of it stays, and the rest does.
func FuzzEcashHeaders(f *testing.F) {
	f.Add("cashuBo2F0", "Cashu cashuBo2F0", "Bearer x")
	f.Add("", "cashu ", "CASHU x")
	f.Add(" ", "Cashu", "Cashu\t")
	f.Fuzz(func(t *testing.T, own, first, second string) {
		h := http.Header{"X-Cashu": {own}, "Authorization": {first, second}}
		lines := h.Clone()
		found := ecashIn(h)
		shared := http.Header{"X-Cashu": h["X-Cashu"], "Authorization": h["Authorization"]}
		p := new(passage)
		p.stripEcash(shared)
		if !slices.Equal(p.ecash, found) {
			t.Fatalf("found %q, kept %q", found, p.ecash)
		}
		if len(ecashIn(shared)) != 0 {
			t.Fatalf("%q is left", shared)
		}
		for _, line := range lines["Authorization"] {
			if !isCashu(line) && !slices.Contains(shared["Authorization"], line) {
				t.Fatalf("%q is gone", line)
			}
		}
		if !slices.Equal(h["Authorization"], lines["Authorization"]) {
			t.Fatal("a shared slice was written to")
		}
	})
}

// FuzzEcashNote: no note of another sale, and no text that is none, gives a sale its terms.
func FuzzEcashNote(f *testing.F) {
	f.Add("{}")
	f.Add(`{"p":"00","m":1,"v":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := &cashSale{handler: &Handler{Service: "a"}}
		own, err := s.note()
		if err != nil {
			t.Fatal(err)
		}
		if text != own && s.recall(text) == nil && !strings.Contains(text, s.product()) {
			t.Fatalf("%q gives terms", text)
		}
		if s.recall(own) != nil && text == "{}" {
			t.Fatal("a sale does not know its own note")
		}
	})
}
