package caddyl402

import (
	"encoding/hex"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// A part of what has paid, alone or with good ecash, and in any order, is not new ecash.
func TestAttackEcashSubset(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 2 sat {\nuses 1\n}")
	all := s.mint.Token(t, 1, 1, 2, 2)
	paid := &token.Token{Mint: all.Mint, Unit: "sat", Proofs: all.Proofs[:3]}
	change := s.change(s.want(200, "GET", "/", "X-Cashu", encodeEcash(t, paid)))
	for _, parts := range [][]int{{0, 1}, {2}, {2, 3}, {3, 0}} {
		sub := &token.Token{Mint: all.Mint, Unit: "sat"}
		for _, i := range parts {
			sub.Proofs = append(sub.Proofs, all.Proofs[i])
		}
		s.wantEcash(400, codeEcashSpent, encodeEcash(t, sub))
	}
	turned := &token.Token{Mint: all.Mint, Unit: "sat", Proofs: slices.Clone(paid.Proofs)}
	slices.Reverse(turned.Proofs)
	s.wantCode("uses_exhausted", "/", "X-Cashu", encodeEcash(t, turned))
	spelled, err := paid.EncodeA()
	if err != nil {
		t.Fatal(err)
	}
	s.wantCode("uses_exhausted", "/", "X-Cashu", spelled)
	s.conserved(2, change, &token.Token{Proofs: all.Proofs[3:]})
}

// Whatever address a token names, nobody is contacted but the named mint.
func TestAttackForeignMint(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 10 sat")
	s.house()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var seen atomic.Int32
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			seen.Add(1)
			_ = conn.Close()
		}
	}()
	address := "http://" + listener.Addr().String()
	for _, at := range []string{address, address + "/Bitcoin", s.mint.URL + "/../x", s.mint.URL + "/x", "https://" + strings.TrimPrefix(s.mint.URL, "http://")} {
		tok := s.mint.Token(t, 8, 2)
		tok.Mint = at
		s.wantEcash(400, codeEcashMint, encodeEcash(t, tok))
	}
	for _, at := range []string{strings.Replace(s.mint.URL, "http://", "http://user@", 1), s.mint.URL + "?" + address, address + "#x", "file:///etc/passwd"} {
		tok := s.mint.Token(t, 8, 2)
		tok.Mint = at
		if text, err := tok.Encode(); err == nil {
			t.Errorf("a token with the mint %q is written: %.20s", at, text)
		}
	}
	// The way that a mint shows elsewhere is not followed.
	s.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: minttest.Redirect})
	a := s.do("GET", "/", "X-Cashu", s.token(8, 2))
	if a.StatusCode != 502 && a.StatusCode != 503 {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
	if seen.Load() != 0 || upstreamHits.Load() != 0 {
		t.Errorf("%d connections, %d requests went on", seen.Load(), upstreamHits.Load())
	}
}

func TestAttackForgedDLEQ(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "require_dleq", "l402 8 sat")
	s.house()
	forged := s.mint.Token(t, 8)
	forged.Proofs[0].DLEQ.S[3] ^= 1
	s.wantEcash(400, codeEcashDLEQ, encodeEcash(t, forged))
	bare := s.mint.Token(t, 8)
	bare.Proofs[0].DLEQ = nil
	s.wantEcash(400, codeEcashDLEQ, encodeEcash(t, bare))
	dearer := s.mint.Token(t, 4)
	dearer.Proofs[0].Amount = 8
	s.wantEcash(400, codeEcashDLEQ, encodeEcash(t, dearer))
	if s.mint.Calls("/v1/swap")+s.mint.Calls("/v1/checkstate") != 0 {
		t.Error("the mint was asked about ecash that cannot be good")
	}
	s.want(200, "GET", "/", "X-Cashu", s.token(8))
}

// Made-up ecash without proofs is refused by the mint, and leaves nothing behind.
func TestAttackMadeUpEcash(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 8 sat")
	tok := s.mint.Token(t, 4)
	tok.Proofs[0].Amount, tok.Proofs[0].DLEQ = 8, nil
	s.wantEcash(400, codeEcashRefused, encodeEcash(t, tok))
	if all := s.house().All(); len(all) != 1 || all[0].Open != 0 || all[0].Balance.Available != 0 {
		t.Errorf("got %+v", all)
	}
	tok.Proofs[0].Amount = 4
	tok.Proofs = append(tok.Proofs, s.mint.Issue(t, nil, 4)...)
	s.want(200, "GET", "/", "X-Cashu", encodeEcash(t, tok)) // the good part is still the payer's
}

// Of fifty requests with the same ecash, and as many with parts of it, one passes.
func TestAttackEcashFiftyTimes(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 10 sat {\nuses 1\nlimit off\n}")
	tok := s.mint.Token(t, 8, 2, 2)
	whole := encodeEcash(t, tok)
	part := encodeEcash(t, &token.Token{Mint: tok.Mint, Unit: "sat", Proofs: tok.Proofs[:2]})
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed, other := 0, map[string]int{}
	var change *token.Token
	for i := range 50 {
		wg.Go(func() {
			text := whole
			if i%5 == 4 {
				text = part
			}
			a := s.do("GET", "/", "X-Cashu", text)
			mu.Lock()
			defer mu.Unlock()
			if a.StatusCode == 200 {
				passed++
				change = s.change(a)
			} else {
				other[strconv.Itoa(a.StatusCode)+" "+a.code()]++
			}
		})
	}
	wg.Wait()
	if passed != 1 || upstreamHits.Load() != 1 {
		t.Fatalf("%d passed, %d went on; %v", passed, upstreamHits.Load(), other)
	}
	for answer := range other {
		switch answer {
		case "429 uses_in_flight", "402 uses_exhausted", "400 ecash_spent":
		default:
			t.Errorf("some got %s: %v", answer, other)
		}
	}
	if s.mint.Calls("/v1/swap") > 50 {
		t.Error("the mint was asked too often")
	}
	s.conserved(10, change, tok)
}

// However many payments wait for a mint that hangs, those with ecash of another one pass.
func TestAttackManyWaitForOneMint(t *testing.T) {
	slow := minttest.New(t, minttest.Options{})
	s := serveCashu(t, minttest.Options{}, "mint "+slow.URL+"\ntimeout 3s", "l402 10 sat {\nlimit off\n}")
	s.house()
	queue := s.app().till.cashing[slow.URL]
	for range cap(queue) {
		queue <- struct{}{}
	}
	s.wantEcash(503, codeEcashUnavailable, encodeEcash(t, slow.Token(t, 8, 2)))
	if slow.Calls("/v1/swap") != 0 {
		t.Error("nobody had to wait")
	}
	s.want(200, "GET", "/", "X-Cashu", s.token(8, 2))
}

// A mint that hangs holds up those who pay with its ecash, for a time, and nobody else. What they paid
// is theirs, or has paid.
func TestAttackHangingMint(t *testing.T) {
	for name, kind := range map[string]minttest.Kind{"before": minttest.Hang, "after": minttest.HangAfter} {
		t.Run(name, func(t *testing.T) {
			s := serveCashu(t, minttest.Options{}, "timeout 3s", "l402 10 sat")
			token := s.buy("/")
			s.house()
			s.want(200, "GET", "/", "X-Cashu", s.token(8, 2))
			s.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: kind})
			s.mint.Break(minttest.Fault{Path: "/v1/restore", Kind: minttest.Hang})
			text := s.token(8, 2)
			hung := make(chan answer)
			go func() { hung <- s.do("GET", "/", "X-Cashu", text) }()
			eventually(t, "asked", func() bool { return s.mint.Calls("/v1/swap") == 2 })
			s.want(200, "GET", "/", "Authorization", token.authorization())
			s.want(402, "GET", "/")
			a := <-hung
			if a.StatusCode != 503 || a.code() != codeEcashUnavailable || a.Header.Get("Retry-After") == "" {
				t.Fatalf("got %d %s", a.StatusCode, a.body)
			}
			s.mint.Repair()
			s.want(200, "GET", "/", "X-Cashu", text)
			s.conserved(20)
		})
	}
}

func TestAttackCheatingMint(t *testing.T) {
	for name, kind := range map[string]minttest.Kind{
		"wrong amounts": minttest.WrongAmounts, "wrong key": minttest.WrongKey, "forged DLEQ": minttest.ForgedDLEQ,
		"fewer": minttest.FewerSignatures, "another keyset": minttest.OtherKeyset,
	} {
		t.Run(name, func(t *testing.T) {
			s := serveCashu(t, minttest.Options{}, "", "l402 10 sat")
			s.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: kind})
			text := s.token(8, 2)
			for range 2 {
				a := s.do("GET", "/", "X-Cashu", text)
				if a.StatusCode != 502 && a.StatusCode != 503 && a.StatusCode != 200 {
					t.Fatalf("got %d %s", a.StatusCode, a.body)
				}
				// A mint that can be asked again for what it signed has repaired it.
				if b := s.house().Balance("sat"); (a.StatusCode == 200) != (b.Available == 10) {
					t.Errorf("got %d with a balance of %+v", a.StatusCode, b)
				}
				if a.StatusCode != 200 && (a.Header.Get("X-L402-Token") != "" || upstreamHits.Load() != 0) {
					t.Error("a payment that is none was served")
				}
			}
		})
	}
}

func TestAttackHugeEcash(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 10 sat")
	s.house()
	calls := s.mint.Calls("/v1/swap")
	for name, text := range map[string]string{
		"long":       "cashuB" + strings.Repeat("A", 15<<10),
		"deep":       "cashuBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGB",
		"huge array": "cashuBm___________",
		"JSON":       "cashuA" + strings.Repeat("W1tb", 1000),
		"several":    "cashuB,cashuB",
	} {
		t.Run(name, func(t *testing.T) { s.wantEcash(400, codeEcashMalformed, text) })
	}
	many := make([]uint64, 64)
	for i := range many {
		many[i] = 1
	}
	s.want(200, "GET", "/", "X-Cashu", s.token(append(many[:8:8], 2)...))
	if s.mint.Calls("/v1/swap") != calls+1 {
		t.Error("the mint was asked about what is no ecash")
	}
}

// Refused ecash counts against the client, and payments do not.
func TestEcashWithinTheLimit(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 1 sat {\nlimit 2 1h\n}")
	for range 5 {
		s.want(200, "GET", "/", "X-Cashu", s.token(1))
	}
	s.wantEcash(400, codeEcashMalformed, "nonsense")
	s.wantEcash(400, codeEcashMalformed, "nonsense")
	swaps := s.mint.Calls("/v1/swap")
	text := s.token(1)
	a := s.want(429, "GET", "/", "X-Cashu", text)
	if a.code() != codeTooMany || a.Header.Get("Retry-After") == "" || s.mint.Calls("/v1/swap") != swaps {
		t.Errorf("got %s", a.body)
	}
	s.conserved(5, tokenOf(t, text))
}

func tokenOf(t *testing.T, text string) *token.Token {
	t.Helper()
	tok, err := token.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// restart ends the server and starts it again on the same storage.
func (s *cashuSite) restart(settings, site string) {
	s.t.Helper()
	if err := caddy.Stop(); err != nil {
		s.t.Fatal(err)
	}
	s.reload(s.config("wallet play sandbox\n"+cashuBlock(s.mint, settings), site+"\ntest_upstream"))
}

// Whatever the mint does, and however often the server is started anew in between, the payer is served
// once for his ecash and nothing is lost.
func TestEcashOverRestarts(t *testing.T) {
	site := "l402 10 sat {\nuses 1\n}"
	for name, kind := range map[string]minttest.Kind{
		"nothing done": minttest.Drop, "done without an answer": minttest.LoseAnswer, "unavailable": minttest.Unavailable,
	} {
		t.Run(name, func(t *testing.T) {
			s := serveCashu(t, minttest.Options{FeePPK: 100}, "timeout 3s", site)
			text := s.token(8, 8)
			s.house()
			s.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: kind})
			s.mint.Break(minttest.Fault{Path: "/v1/restore", Kind: minttest.Unavailable})
			if a := s.do("GET", "/", "X-Cashu", text); a.StatusCode != 503 {
				t.Fatalf("got %d %s", a.StatusCode, a.body)
			}
			s.restart("timeout 3s", site)
			s.mint.Repair()
			a := s.want(200, "GET", "/", "X-Cashu", text)
			change := s.change(a)
			if sum, err := change.Amount(); err != nil || sum != 5 {
				t.Errorf("change of %d, %v", sum, err)
			}
			s.conserved(10, change)
			s.restart("timeout 3s", site)
			again := s.wantCode("uses_exhausted", "/", "X-Cashu", text)
			if again.Header.Get("X-Cashu") != a.Header.Get("X-Cashu") || again.Header.Get("X-L402-Token") != a.Header.Get("X-L402-Token") {
				t.Error("after a restart the same ecash got something else")
			}
			s.conserved(10, change)
			if upstreamHits.Load() != 1 {
				t.Errorf("%d requests went on", upstreamHits.Load())
			}
		})
	}
}

// locked is a payer's ecash for this server alone, and tags weaken the lock.
func (s *cashuSite) locked(tags [][]string, amounts ...uint64) string {
	s.t.Helper()
	s.house()
	lock := &token.Condition{
		Kind: token.KindP2PK, Tags: tags,
		Data: hex.EncodeToString(s.app().till.house.LockKey().SerializeCompressed()),
	}
	return encodeEcash(s.t, &token.Token{Mint: s.mint.URL, Unit: "sat", Proofs: s.mint.Issue(s.t, lock, amounts...)})
}

const p2pk = "timeout 3s\np2pk {\nmax_value 30 sat\nmax_age 1h\n}"

// Locked ecash is served while the mint is away, within bounds, and swapped when it is back.
func TestEcashWithoutTheMint(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, p2pk, "l402 10 sat {\nuses 1\n}")
	s.house()
	eventually(t, "warm", func() bool {
		a := s.want(402, "GET", "/")
		r, err := token.ParseRequest(a.Header.Get("X-Cashu"))
		return err == nil && r.Lock != nil && r.Lock.Kind == token.KindP2PK && s.mint.Calls("/v1/keysets") > 0
	})
	s.want(200, "GET", "/", "X-Cashu", s.locked(nil, 8, 2))
	eventually(t, "swapped", func() bool { return s.house().Balance("sat").Available == 10 })

	s.mint.Break(minttest.Fault{Kind: minttest.Unavailable})
	first := s.locked(nil, 8, 2)
	a := s.want(200, "GET", "/", "X-Cashu", first)
	s.wantCode("uses_exhausted", "/", "X-Cashu", first)
	tok := tokenOf(t, first)
	part := &token.Token{Mint: tok.Mint, Unit: "sat", Proofs: append(tokenOf(t, s.locked(nil, 2)).Proofs, tok.Proofs[0])}
	s.wantEcash(400, codeEcashSpent, encodeEcash(t, part))
	s.want(200, "GET", "/", "X-Cashu", s.locked(nil, 8, 2))
	s.want(200, "GET", "/", "X-Cashu", s.locked(nil, 8, 2))
	if b := s.house().Balance("sat"); b.Unswapped != 30 {
		t.Errorf("balance %+v", b)
	}
	// The bound is reached: from now on the mint has to be asked.
	s.wantEcash(503, codeEcashUnavailable, s.locked(nil, 8, 2))
	if a.Header.Get("X-L402-Token") == "" {
		t.Error("nothing was bought")
	}
	s.mint.Repair()
	eventually(t, "swapped", func() bool { b := s.house().Balance("sat"); return b.Available == 40 && b.Unswapped == 0 })
	s.wantCode("uses_exhausted", "/", "X-Cashu", first)
}

// What the payer could take back is not served before it is swapped.
func TestAttackClawBack(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, p2pk, "l402 10 sat {\nuses 1\n}")
	key := "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	soon := strconv.FormatInt(time.Now().Add(10*time.Minute).Unix(), 10)
	s.want(200, "GET", "/", "X-Cashu", s.token(8, 2)) // the keys are known
	s.mint.Break(minttest.Fault{Kind: minttest.Unavailable})
	for name, tags := range map[string][][]string{
		"past locktime":  {{"locktime", "1000"}},
		"refund":         {{"locktime", "1000"}, {"refund", key}},
		"near locktime":  {{"locktime", soon}},
		"near refund":    {{"locktime", soon}, {"refund", key}},
		"another signer": {{"pubkeys", key}},
		"SIG_ALL":        {{"sigflag", "SIG_ALL"}},
	} {
		t.Run(name, func(t *testing.T) { s.wantEcash(503, codeEcashUnavailable, s.locked(tags, 8, 2)) })
	}
	t.Run("two signers", func(t *testing.T) {
		s.wantEcash(400, codeEcashLock, s.locked([][]string{{"pubkeys", key}, {"n_sigs", "2"}}, 8, 2))
	})
	t.Run("no lock", func(t *testing.T) { s.wantEcash(503, codeEcashUnavailable, s.token(8, 2)) })
	t.Run("no DLEQ", func(t *testing.T) {
		tok := tokenOf(t, s.locked(nil, 8, 2))
		tok.Proofs[0].DLEQ = nil
		s.wantEcash(503, codeEcashUnavailable, encodeEcash(t, tok))
	})
	if b := s.house().Balance("sat"); b.Unswapped != 0 || upstreamHits.Load() != 1 {
		t.Errorf("balance %+v, %d went on", b, upstreamHits.Load())
	}
	s.mint.Repair()
	// Swapped it is money, and the payer's key opens it no more.
	s.want(200, "GET", "/", "X-Cashu", s.locked([][]string{{"locktime", soon}, {"refund", key}}, 8, 2))
}

// Tenants have purses of their own.
func TestEcashOfTenants(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	s := &cashuSite{serve(t, "wallet a sandbox\nwallet b sandbox\n"+cashuBlock(m, ""),
		"vars tenant {query.t}\nl402 10 sat {\nwallet {http.vars.tenant}\n}\ntest_upstream"), m}
	paid := s.token(8, 2)
	line := s.want(200, "GET", "/?t=a", "X-Cashu", paid).Header.Get("X-L402-Token")
	s.want(200, "GET", "/?t=a", "Authorization", line)
	s.want(402, "GET", "/?t=b", "Authorization", line)
	a := s.want(http.StatusBadRequest, "GET", "/?t=b", "X-Cashu", paid)
	if a.code() != codeEcashElsewhere && a.code() != codeEcashSpent {
		t.Errorf("got %q", a.code())
	}
	balances := map[string]uint64{}
	for _, info := range s.house().All() {
		balances[info.Name] += info.Balance.Available
	}
	if balances["a"] != 10 || balances["b"] != 0 || balances[""] != 0 {
		t.Errorf("got %v", balances)
	}
}
