package minttest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// Options are what a Mint is made of. The zero value is a mint of satoshi without fees.
type Options struct {
	// Unit is the unit of the keysets; empty is sat.
	Unit string
	// FeePPK is the input fee in thousandths of the unit.
	FeePPK uint64
	// Version is the version of keyset ids, 1 or 2; zero is 2.
	Version int
	// Keys is how many keys a keyset has, for the powers of two; zero is 32.
	Keys int
	// NoDLEQ leaves DLEQ proofs out.
	NoDLEQ bool
	// NoRestore makes a mint without NUT-09.
	NoRestore bool
	// NoChange makes a mint without NUT-08.
	NoChange bool
	// Bare leaves amount and unit out of quotes, as some mints do.
	Bare bool
	// Cached makes a mint that repeats its answers (NUT-19).
	Cached bool
	// Socket makes a mint that tells of paid quotes (NUT-17), Description one whose invoices
	// have the description that is asked for.
	Socket, Description bool
	// FeeReserve is what melts set aside; LightningFee is what payments cost.
	FeeReserve, LightningFee uint64
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Payment is what becomes of the Lightning payments of melts.
type Payment int

// The fates of payments.
const (
	// Succeed pays.
	Succeed Payment = iota
	// Fail does not.
	Fail
	// Stall leaves them in flight until Settle.
	Stall
	// Pretend takes the ecash and says that it has paid.
	Pretend
)

// Mint is the mint. Its methods are safe for concurrent use.
type Mint struct {
	// URL is where it listens, on this machine.
	URL string

	opts   Options
	server *httptest.Server
	chain  *chaincfg.Params
	node   *ecash.PrivateKey

	mu      sync.Mutex
	faults  []Fault
	calls   map[string]int
	keysets []*keyset
	spent   map[[33]byte]bool
	pending map[[33]byte]bool
	signed  map[string]signature // by B_
	mints   map[string]*mintQuote
	melts   map[string]*meltQuote
	cache   map[string][]byte
	payment Payment
	counter uint64
	issued  uint64
	burned  uint64
	latest  *mintQuote
	sockets map[*socket]struct{}
}

type keyset struct {
	id     ecash.KeysetID
	active bool
	fee    uint64
	keys   map[uint64]*ecash.PrivateKey
}

type signature struct {
	Amount uint64     `json:"amount"`
	ID     string     `json:"id"`
	C      string     `json:"C_"`
	DLEQ   *dleqProof `json:"dleq,omitempty"`
}

type dleqProof struct {
	E string `json:"e"`
	S string `json:"s"`
}

// New starts a mint that ends with the test.
func New(t testing.TB, opts Options) *Mint {
	t.Helper()
	if opts.Unit == "" {
		opts.Unit = "sat"
	}
	if opts.Version == 0 {
		opts.Version = 2
	}
	if opts.Keys == 0 {
		opts.Keys = 32
	}
	m := &Mint{
		opts: opts, chain: &chaincfg.RegressionNetParams, calls: make(map[string]int),
		spent: make(map[[33]byte]bool), pending: make(map[[33]byte]bool), signed: make(map[string]signature),
		mints: make(map[string]*mintQuote), melts: make(map[string]*meltQuote), cache: make(map[string][]byte),
		sockets: make(map[*socket]struct{}),
	}
	m.node = m.key("node")
	m.Rotate(opts.FeePPK)
	m.server = httptest.NewServer(m)
	t.Cleanup(m.server.Close)
	t.Cleanup(m.Cut) // first: the server does not end websockets
	m.URL = m.server.URL
	return m
}

func (m *Mint) key(name string) *ecash.PrivateKey {
	sum := sha256.Sum256([]byte("minttest " + name))
	return secp256k1.PrivKeyFromBytes(sum[:])
}

// Rotate makes a new active keyset with this fee, and the others inactive.
func (m *Mint) Rotate(feePPK uint64) ecash.KeysetID {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := &keyset{active: true, fee: feePPK, keys: make(map[uint64]*ecash.PrivateKey)}
	public := make(ecash.Keys)
	for i := range m.opts.Keys {
		amount := uint64(1) << i
		k.keys[amount] = m.key(fmt.Sprintf("%s %d %d", m.opts.Unit, len(m.keysets), amount))
		public[amount] = k.keys[amount].PubKey()
	}
	if m.opts.Version == 1 {
		k.id = public.IDv1()
	} else {
		k.id = public.IDv2(m.opts.Unit, feePPK, 0)
	}
	for _, old := range m.keysets {
		old.active = false
	}
	m.keysets = append(m.keysets, k)
	return k.id
}

func (m *Mint) keyset(id ecash.KeysetID) *keyset {
	for _, k := range m.keysets {
		if k.id == id {
			return k
		}
	}
	return nil
}

// Outstanding is the value of all ecash that is signed and not spent: what the mint owes.
func (m *Mint) Outstanding() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.issued - m.burned
}

// Calls is how often a path such as /v1/swap was called.
func (m *Mint) Calls(path string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[path]
}

// SetPayment says what becomes of payments from now on.
func (m *Mint) SetPayment(p Payment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.payment = p
}

// Issue makes ecash out of nothing, as if it had been bought: the given amounts, with secrets that
// are locked by the condition, or random where it is nil.
func (m *Mint) Issue(t testing.TB, lock *token.Condition, amounts ...uint64) []token.Proof {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	active := m.keysets[len(m.keysets)-1]
	out := make([]token.Proof, len(amounts))
	for i, amount := range amounts {
		m.counter++
		sum := sha256.Sum256(fmt.Appendf(nil, "issue %d", m.counter))
		secret := hex.EncodeToString(sum[:])
		if lock != nil {
			c := *lock
			c.Nonce = secret
			var err error
			if secret, err = c.Secret(); err != nil {
				t.Fatal(err)
			}
		}
		r := m.key(fmt.Sprintf("blinding %d", m.counter))
		b, err := ecash.Blind(secret, r)
		if err != nil {
			t.Fatal(err)
		}
		k := active.keys[amount]
		if k == nil {
			t.Fatalf("minttest: no key for %d", amount)
		}
		c, err := ecash.Sign(b, k)
		if err != nil {
			t.Fatal(err)
		}
		d, err := ecash.ProveDLEQ(k, b, c)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = token.Proof{Amount: amount, KeysetID: active.id, Secret: secret, DLEQ: &token.ProofDLEQ{DLEQ: d, R: r}}
		if out[i].C, err = ecash.Unblind(c, r, k.PubKey()); err != nil {
			t.Fatal(err)
		}
		m.issued += amount
	}
	return out
}

// Token makes a token of Issue's proofs.
func (m *Mint) Token(t testing.TB, amounts ...uint64) *token.Token {
	t.Helper()
	return &token.Token{Mint: m.URL, Unit: m.opts.Unit, Proofs: m.Issue(t, nil, amounts...)}
}

// Spent says whether a proof is spent.
func (m *Mint) Spent(t testing.TB, p token.Proof) bool {
	t.Helper()
	y, err := p.Y()
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spent[y]
}

// ServeHTTP answers as a mint.
func (m *Mint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.serve(w, r)
}

func answer(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("minttest: " + err.Error())
	}
	return b
}

// now is the mint's clock.
func (m *Mint) now() time.Time {
	if m.opts.Now != nil {
		return m.opts.Now()
	}
	return time.Now()
}

var _ http.Handler = (*Mint)(nil)
