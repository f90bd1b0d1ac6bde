package purse

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

func hexKey(k *ecash.PrivateKey) string { return hex.EncodeToString(k.PubKey().SerializeCompressed()) }

// lockedTo is a payer's token with a lock.
func (w *world) lockedTo(key *ecash.PrivateKey, tags [][]string, amounts ...uint64) *token.Token {
	w.t.Helper()
	lock := &token.Condition{Kind: token.KindP2PK, Data: hexKey(key), Tags: tags}
	return &token.Token{Mint: w.url, Unit: "sat", Proofs: w.mint.Issue(w.t, lock, amounts...)}
}

// locked is a payer's token that only the purse can spend.
func (w *world) locked(amounts ...uint64) *token.Token { return w.lockedTo(w.key, nil, amounts...) }

func TestReceive(t *testing.T) {
	for name, v := range map[string]struct {
		ppk    uint64
		in     []uint64
		terms  Terms
		keep   uint64
		change uint64
		err    error
	}{
		"exact":                             {in: []uint64{4, 1}, terms: Terms{Price: 5}, keep: 5},
		"more":                              {in: []uint64{8}, terms: Terms{Price: 5}, keep: 5, change: 3},
		"everything":                        {in: []uint64{8}, keep: 8},
		"less":                              {in: []uint64{4}, terms: Terms{Price: 5}, err: ErrTooLittle},
		"exact, the payer bears the fee":    {ppk: 100, in: []uint64{4, 1}, terms: Terms{Price: 5}, err: ErrTooLittle},
		"exact, the purse bears the fee":    {ppk: 100, in: []uint64{4, 1}, terms: Terms{Price: 5, MaxFee: 1}, keep: 4},
		"the fee and nothing more":          {ppk: 100, in: []uint64{4, 2}, terms: Terms{Price: 5}, keep: 5},
		"more than the fee":                 {ppk: 100, in: []uint64{8}, terms: Terms{Price: 5, MaxFee: 1}, keep: 5, change: 2},
		"dust whose fee takes it all":       {ppk: 1000, in: []uint64{1, 1, 1, 1, 1}, terms: Terms{Price: 5, MaxFee: 5}, err: ErrTooLittle},
		"dust whose fee is above the bound": {ppk: 500, in: []uint64{1, 1, 1, 1, 1}, terms: Terms{Price: 5, MaxFee: 2}, err: ErrTooLittle},
		"less, though the fee is allowed":   {ppk: 100, in: []uint64{4}, terms: Terms{Price: 5, MaxFee: 5}, err: ErrTooLittle},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minttest.Options{FeePPK: v.ppk})
			p := w.open()
			in := w.token(v.in...)
			r, err := p.Receive(t.Context(), in, v.terms)
			if !errors.Is(err, v.err) {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				if w.unspent(in) == 0 || w.disk.count(p.kind) != 0 {
					t.Error("a refusal left something behind")
				}
				return
			}
			if r.Amount != v.keep || p.Balance().Available != v.keep || w.unspent(r.Change) != v.change || (r.Change != nil) != (v.change > 0) || r.Replayed || r.Owed {
				t.Errorf("got %+v", r)
			}
			w.conserved(p, r.Change)
			if r.Change != nil {
				text, err := r.Change.Encode()
				if err != nil {
					t.Fatal(err)
				}
				back, err := token.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				for _, proof := range back.Proofs {
					if proof.DLEQ == nil {
						t.Error("change without DLEQ")
					}
				}
			}
		})
	}
}

// The attacks on a receiver.
func TestReceiveRefuses(t *testing.T) {
	payer, err := ecash.NewBlindingFactor()
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]struct {
		make func(w *world) *token.Token
		want error
	}{
		"another mint":      {func(w *world) *token.Token { t := w.token(8); t.Mint = "https://evil.example.com"; return t }, ErrForeignMint},
		"the mint's twin":   {func(w *world) *token.Token { t := w.token(8); t.Mint = w.url + ".evil.example.com"; return t }, ErrForeignMint},
		"another unit":      {func(w *world) *token.Token { t := w.token(8); t.Unit = "usd"; return t }, mint.ErrUnit},
		"nothing":           {func(w *world) *token.Token { return &token.Token{Mint: w.url, Unit: "sat"} }, token.ErrMalformed},
		"a proof twice":     {func(w *world) *token.Token { t := w.token(8); t.Proofs = append(t.Proofs, t.Proofs[0]); return t }, token.ErrDuplicate},
		"an unknown keyset": {func(w *world) *token.Token { t := w.token(8); t.Proofs[0].KeysetID = "00ffffffffffffff"; return t }, ecash.ErrUnknownKeyset},
		"a larger amount":   {func(w *world) *token.Token { t := w.token(8); t.Proofs[0].Amount = 16; return t }, ecash.ErrDLEQ},
		"the same, no DLEQ": {func(w *world) *token.Token { t := w.token(8); t.Proofs[0].Amount, t.Proofs[0].DLEQ = 16, nil; return t }, mint.ErrInvalidProof},
		"an impossible one": {func(w *world) *token.Token { t := w.token(8); t.Proofs[0].Amount = 7; return t }, token.ErrAmount},
		"a forged DLEQ":     {func(w *world) *token.Token { t := w.token(8); t.Proofs[0].DLEQ.S[3] ^= 1; return t }, ecash.ErrDLEQ},
		"a made-up signature": {func(w *world) *token.Token {
			t := w.token(8)
			t.Proofs[0].C, t.Proofs[0].DLEQ = payer.PubKey(), nil
			return t
		}, mint.ErrInvalidProof},
		"a foreign lock": {func(w *world) *token.Token { return w.lockedTo(payer, nil, 8) }, token.ErrNotOurs},
		"a lock of two": {func(w *world) *token.Token {
			return w.lockedTo(w.key, [][]string{{"pubkeys", hexKey(payer)}, {"n_sigs", "2"}}, 8)
		}, token.ErrNotOurs},
		"two locks of SIG_ALL": {func(w *world) *token.Token {
			t := w.lockedTo(w.key, [][]string{{"sigflag", "SIG_ALL"}}, 8)
			t.Proofs = append(t.Proofs, w.token(8).Proofs...)
			return t
		}, token.ErrLock},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minttest.Options{})
			p := w.open()
			in := v.make(w)
			if r, err := p.Receive(t.Context(), in, Terms{}); !errors.Is(err, v.want) {
				t.Errorf("got %+v, %v", r, err)
			}
			if open, err := p.Resume(t.Context()); open != 0 || err != nil || p.Balance() != (Balance{}) || w.disk.count(p.kind) != 0 {
				t.Errorf("something is left: %d open, %v, %+v", open, err, p.Balance())
			}
		})
	}
}

// Locks that the purse can open are money, whoever else could spend them: they are swapped at once.
func TestReceiveLocked(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	other, _ := ecash.NewBlindingFactor()
	for name, tags := range map[string][][]string{
		"ours":            nil,
		"ours or another": {{"pubkeys", hexKey(other)}},
		"refund to us":    {{"locktime", "1"}, {"refund", hexKey(w.key)}},
		"SIG_ALL":         {{"sigflag", "SIG_ALL"}},
		"refund soon":     {{"locktime", "99999999999"}, {"refund", hexKey(other)}},
	} {
		if r, err := p.Receive(t.Context(), w.lockedTo(w.key, tags, 4, 2), Terms{Price: 5}); err != nil || r.Amount != 5 || w.unspent(r.Change) != 1 {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
}

// A token counts once: as a whole, in part, in more, in another order and spelling.
func TestReplay(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	in := w.token(8, 4, 2)
	first, err := p.Receive(t.Context(), in, Terms{Price: 5})
	if err != nil {
		t.Fatal(err)
	}
	part := *in
	part.Proofs = in.Proofs[:2]
	more := *in
	more.Proofs = append(slices.Clone(in.Proofs), w.token(1).Proofs...)
	mixed := *in
	mixed.Proofs = append(w.token(64).Proofs, in.Proofs[1])
	reversed := *in
	reversed.Proofs = slices.Clone(in.Proofs)
	slices.Reverse(reversed.Proofs)
	reversed.Proofs[0].DLEQ = nil
	reversed.Proofs[0].KeysetID = reversed.Proofs[0].KeysetID.Short()
	for _, purse := range []*Purse{p, w.open()} {
		for name, tok := range map[string]*token.Token{"part": &part, "more": &more, "mixed": &mixed} {
			if r, err := purse.Receive(t.Context(), tok, Terms{}); !errors.Is(err, ErrSpent) {
				t.Errorf("%s: got %+v, %v", name, r, err)
			}
		}
		for name, tok := range map[string]*token.Token{"the same": in, "reversed": &reversed} {
			r, err := purse.Receive(t.Context(), tok, Terms{Price: 1})
			if err != nil || !r.Replayed || r.ID != first.ID || r.Amount != 5 || r.Change.Proofs[0].Secret != first.Change.Proofs[0].Secret {
				t.Errorf("%s: got %+v, %v", name, r, err)
			}
		}
	}
	if p.Balance().Available != 5 {
		t.Errorf("balance %+v", p.Balance())
	}
	// What was spent elsewhere is refused, and leaves nothing.
	elsewhere := w.token(8)
	other := newWorldAt(w)
	if _, err := other.Receive(t.Context(), elsewhere, Terms{}); err != nil {
		t.Fatal(err)
	}
	if r, err := p.Receive(t.Context(), elsewhere, Terms{}); !errors.Is(err, ErrSpent) && !errors.Is(err, mint.ErrSpent) {
		t.Errorf("got %+v, %v", r, err)
	}
	if open, err := p.Resume(t.Context()); open != 0 || err != nil {
		t.Errorf("%d open, %v", open, err)
	}
}

// newWorldAt is a purse of somebody else at the same mint.
func newWorldAt(w *world) *Purse {
	client, err := mint.New(mint.Config{URL: w.url})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = client.Close() })
	words, err := LoadSeed(context.Background(), newDisk(), "x")
	if err != nil {
		w.t.Fatal(err)
	}
	seed, err := ecash.NewSeed(words)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := Open(context.Background(), Options{Mint: client, Unit: "sat", Store: newDisk(), Seed: seed, Network: wallets.Regtest})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// Fifty at a time with one token, whole and in parts, are served once.
func TestConcurrentReceive(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	in := w.token(8, 4, 2)
	var mu sync.Mutex
	var fresh, replayed int
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			tok := *in
			if i%5 == 4 {
				tok.Proofs = in.Proofs[i%3 : i%3+1]
			}
			r, err := p.Receive(context.Background(), &tok, Terms{Price: 14})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && r.Replayed:
				replayed++
			case err == nil:
				fresh++
			case !errors.Is(err, ErrSpent) && !errors.Is(err, ErrTooLittle):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if fresh != 1 || replayed == 0 || p.Balance().Available != 14 || w.mint.Calls("/v1/swap") != 1 {
		t.Errorf("%d served, %d replayed, balance %+v, %d swaps", fresh, replayed, p.Balance(), w.mint.Calls("/v1/swap"))
	}
	w.conserved(p)
}

// A mint that is away, slow or confused loses nobody's money.
func TestBrokenMint(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct {
		kind minttest.Kind
		path string
		took bool // the mint has the payer's ecash after the fault
	}{
		"hangs":            {kind: minttest.Hang},
		"hangs after":      {kind: minttest.HangAfter, took: true},
		"drops":            {kind: minttest.Drop},
		"loses the answer": {kind: minttest.LoseAnswer, took: true},
		"unavailable":      {kind: minttest.Unavailable},
		"bad gateway":      {kind: minttest.UnavailableAfter, took: true},
		"garbage":          {kind: minttest.Garbage},
		"proofs pending":   {kind: minttest.ProofsPending},
	} {
		for _, all := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, minttest.Options{})
				p := w.open()
				p.opts.Patience = 10 * time.Second
				in := w.token(8)
				w.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: v.kind})
				if all {
					w.mint.Break(minttest.Fault{Path: "/v1/restore", Kind: minttest.Drop})
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				r, err := p.Receive(ctx, in, Terms{Price: 5})
				switch {
				case v.took && !all:
					if err != nil || r.Amount != 5 {
						t.Errorf("the answer was not recovered: %v", err)
					}
				case err == nil:
					t.Errorf("got %+v", r)
				}
				w.mint.Repair()
				if _, err := p.Resume(t.Context()); err != nil {
					t.Error(err)
				}
				if !v.took && w.unspent(in) != 8 {
					t.Error("the payer was not served, and his ecash was taken behind his back")
				}
				if w.unspent(in) == 8 && p.Balance().Available != 0 {
					t.Errorf("both have it: %+v", p.Balance())
				}
				r, err = p.Receive(t.Context(), in, Terms{Price: 5})
				if err != nil || r.Amount != 5 || w.unspent(r.Change) != 3 || p.Balance().Available != 5 {
					t.Errorf("the payer was not served in the end: %+v, %v", r, err)
				}
				w.conserved(p, r.Change)
			})
		}
	}
}

// A mint that cheats is caught: the payer is not served, and the record stays.
func TestCheatingMint(t *testing.T) {
	for name, kind := range map[string]minttest.Kind{
		"wrong amounts": minttest.WrongAmounts, "forged DLEQ": minttest.ForgedDLEQ,
		"key not published": minttest.WrongKey, "another keyset": minttest.OtherKeyset,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minttest.Options{})
			p := w.open()
			w.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: kind})
			in := w.token(8)
			for range 2 {
				if r, err := p.Receive(t.Context(), in, Terms{Price: 5}); !errors.Is(err, ErrDisputed) {
					t.Fatalf("got %+v, %v", r, err)
				}
			}
			for _, purse := range []*Purse{p, w.open()} {
				if b := purse.Balance(); b.Available != 0 || b.Disputed != 8 {
					t.Errorf("balance %+v", b)
				}
			}
		})
	}
	// Signatures that were lost on the way are no cheating.
	w := newWorld(t, minttest.Options{})
	p := w.open()
	w.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: minttest.FewerSignatures})
	if r, err := p.Receive(t.Context(), w.token(8), Terms{Price: 5}); err != nil || r.Amount != 5 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// A mint without NUT-09 that repeats its answers (NUT-19) is enough.
func TestRecoverFromCache(t *testing.T) {
	w := newWorld(t, minttest.Options{NoRestore: true, Cached: true})
	p := w.open()
	in := w.token(8)
	w.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: minttest.LoseAnswer, Times: 1})
	if _, err := p.Receive(t.Context(), in, Terms{Price: 5}); !errors.Is(err, ErrUnsettled) || !errors.Is(err, wallets.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	r, err := p.Receive(t.Context(), in, Terms{Price: 5})
	if err != nil || r.Amount != 5 {
		t.Fatalf("got %+v, %v", r, err)
	}
	w.conserved(p, r.Change)
}

func TestKeysRotate(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	w.fund(p, 4)
	in := w.token(8)
	w.mint.Rotate(100)
	if r, err := p.Receive(t.Context(), in, Terms{Price: 5}); err != nil || r.Amount != 5 {
		t.Fatalf("got %+v, %v", r, err)
	}
	// Ecash of the old keys goes first, at their fee.
	sent, err := p.Send(t.Context(), 4, "")
	if err != nil || w.unspent(sent) != 4 || p.Balance().Available != 5 {
		t.Errorf("sent %d, %v", w.unspent(sent), err)
	}
}
