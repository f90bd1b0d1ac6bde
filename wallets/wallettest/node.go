package wallettest

import (
	"crypto/rand"
	"errors"
	"math"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/bolt11"
	"github.com/caddy-l402/caddy-l402/wallets/internal/bolt12"
)

// Terms are what a Node makes an invoice over.
type Terms struct {
	// Amount is in millisatoshi; zero makes an invoice without amount.
	Amount lnwire.MilliSatoshi
	// Memo is the description.
	Memo string
	// DescriptionHash stands in the place of Memo where it is not nil (BOLT 11 only).
	DescriptionHash *[32]byte
	// Expiry is how long the invoice can be paid; zero is the format's default.
	Expiry time.Duration
	// Timestamp is when it was made; zero is now.
	Timestamp time.Time
	// Preimage is used instead of a random one where it is not nil.
	Preimage *lntypes.Preimage
	// Hash is used instead of the preimage's where it is not nil (hold invoices).
	Hash *lntypes.Hash
	// Bolt12 makes "lni…" instead of "ln<network>…".
	Bolt12 bool
	// Fault makes the invoice, or what Issued says of it, wrong: WrongAmount, WrongHash,
	// WrongNetwork and DuplicateHash. Other kinds change nothing here.
	Fault Fault
}

// Issued is an invoice with what a peer would say of it.
type Issued struct {
	// Invoice is the text.
	Invoice string
	// Hash is the payment hash that the peer tells; under WrongHash not the invoice's.
	Hash lntypes.Hash
	// Preimage opens the invoice's hash; zero where Terms.Hash was given.
	Preimage lntypes.Preimage
	// Amount is the amount that was asked for, whatever the invoice says.
	Amount lnwire.MilliSatoshi
	// CreatedAt and ExpiresAt are the invoice's.
	CreatedAt, ExpiresAt time.Time
}

// Node makes real, signed invoices for peer doubles. It is safe for concurrent use.
type Node struct {
	network wallets.Network
	key     *btcec.PrivateKey

	mu   sync.Mutex
	last *Issued
}

// NewNode makes a node of the network with a random key.
func NewNode(t testing.TB, network wallets.Network) *Node {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatalf("making a node key: %v", err)
	}
	return &Node{network: network, key: key}
}

// Payee is the node's compressed public key.
func (n *Node) Payee() [33]byte { return [33]byte(n.key.PubKey().SerializeCompressed()) }

// Issue makes an invoice. It returns an error where the terms cannot be encoded, such as a memo
// that is too long or no UTF-8, as a real node would.
func (n *Node) Issue(terms Terms) (*Issued, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if terms.Fault.Kind == DuplicateHash && n.last != nil {
		again := *n.last
		return &again, nil
	}
	out, err := n.issue(terms)
	if err != nil {
		return nil, err
	}
	remembered := *out
	n.last = &remembered
	return out, nil
}

func (n *Node) issue(terms Terms) (*Issued, error) {
	if !utf8.ValidString(terms.Memo) {
		return nil, errors.New("memo is not UTF-8")
	}
	out := &Issued{Amount: terms.Amount, CreatedAt: terms.Timestamp}
	if out.CreatedAt.IsZero() {
		out.CreatedAt = time.Now()
	}
	out.CreatedAt = out.CreatedAt.Truncate(time.Second)
	switch {
	case terms.Hash != nil:
		out.Hash = *terms.Hash
	case terms.Preimage != nil:
		out.Preimage = *terms.Preimage
		out.Hash = out.Preimage.Hash()
	default:
		_, _ = rand.Read(out.Preimage[:]) // never fails
		out.Hash = out.Preimage.Hash()
	}
	network := n.network
	switch terms.Fault.Kind {
	case WrongAmount:
		terms.Amount++
	case WrongNetwork:
		if network = wallets.Testnet; n.network == wallets.Testnet {
			network = wallets.Signet
		}
	}
	write := n.bolt11
	if terms.Bolt12 {
		write = n.bolt12
	}
	var err error
	if out.Invoice, err = write(network, terms, out); err != nil {
		return nil, err
	}
	if terms.Fault.Kind == WrongHash {
		out.Hash[0] ^= 1
	}
	return out, nil
}

func (n *Node) bolt11(network wallets.Network, terms Terms, out *Issued) (string, error) {
	expiry := terms.Expiry
	if expiry == 0 {
		expiry = time.Hour
	}
	out.ExpiresAt = out.CreatedAt.Add(expiry)
	t := bolt11.Terms{
		Params: network.Params(), Amount: terms.Amount, PaymentHash: out.Hash,
		Memo: terms.Memo, DescriptionHash: terms.DescriptionHash,
		Timestamp: out.CreatedAt, Expiry: expiry,
	}
	_, _ = rand.Read(t.PaymentAddr[:]) // never fails
	return bolt11.Sign(n.key, t)
}

func (n *Node) bolt12(network wallets.Network, terms Terms, out *Issued) (string, error) {
	expiry := terms.Expiry
	if expiry == 0 {
		expiry = 7200 * time.Second
	}
	out.ExpiresAt = out.CreatedAt.Add(expiry)
	payee := n.Payee()
	seconds := min(uint64(expiry/time.Second), math.MaxUint32)
	records := []bolt12.Record{
		{Type: 0, Value: out.Hash[:16]},
		{Type: 22, Value: payee[:]},
		{Type: 88, Value: payee[:]},
		// Contents of paths are the payer's business; a reader here wants them to be there.
		{Type: 160, Value: payee[:]},
		{Type: 162, Value: make([]byte, 28)},
		{Type: 164, Value: bolt12.AppendUint(nil, uint64(out.CreatedAt.Unix()))},
		{Type: 166, Value: bolt12.AppendUint(nil, seconds)},
		{Type: 168, Value: out.Hash[:]},
		{Type: 170, Value: bolt12.AppendUint(nil, uint64(terms.Amount))},
		{Type: 176, Value: payee[:]},
	}
	if terms.Memo != "" {
		records = append(records, bolt12.Record{Type: 10, Value: []byte(terms.Memo)})
	}
	if !network.IsRealMoney() {
		records = append(records, bolt12.Record{Type: 80, Value: network.Params().GenesisHash[:]})
	}
	stream, err := bolt12.Sign("invoice", records, n.key)
	if err != nil {
		return "", err
	}
	return bolt12.EncodeText("lni", stream), nil
}
