package minttest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
	"github.com/caddy-l402/caddy-l402/wallets/internal/bolt11"
)

type mintQuote struct {
	id, invoice string
	amount      uint64
	state       string
	expiry      time.Time
}

type meltQuote struct {
	id, invoice string
	hash        [32]byte
	amount      uint64
	state       string
	inputs      []token.Proof
	blanks      []token.Blinded
	change      []signature
	pretended   bool
}

// Preimage is what an invoice of this mint's node is paid with.
func (m *Mint) preimage(n uint64) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "preimage %d", n))
}

func (m *Mint) msat(amount uint64) lnwire.MilliSatoshi {
	if m.opts.Unit == "msat" {
		return lnwire.MilliSatoshi(amount)
	}
	return lnwire.MilliSatoshi(amount * 1000)
}

// invoice makes an invoice of the mint's node, or of some node else.
func (m *Mint) invoice(chain *chaincfg.Params, amount lnwire.MilliSatoshi, memo string) (string, error) {
	m.counter++
	preimage := m.preimage(m.counter)
	return bolt11.Sign(m.node, bolt11.Terms{
		Params: chain, Amount: amount, PaymentHash: sha256.Sum256(preimage[:]), PaymentAddr: preimage,
		Memo: memo, Timestamp: m.now(), Expiry: time.Hour,
	})
}

// Invoice makes an invoice that the mint can be asked to pay; the amount is in the mint's unit.
func (m *Mint) Invoice(t testing.TB, amount uint64) string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	text, err := m.invoice(m.chain, m.msat(amount), "minttest")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (m *Mint) requestMint(body []byte, kind Kind) (any, error) {
	var in struct {
		Amount      uint64 `json:"amount"`
		Unit        string `json:"unit"`
		Description string `json:"description"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if in.Unit != m.opts.Unit {
		return nil, refuse(11013, "unit not supported")
	}
	if kind == SameInvoice && m.latest != nil {
		return m.mintJSON(m.latest), nil
	}
	chain, amount, memo := m.chain, m.msat(in.Amount), "minttest"
	if kind == WrongNetwork {
		chain = &chaincfg.TestNet3Params
	}
	if kind == WrongAmount {
		amount++
	}
	if m.opts.Description {
		memo = in.Description
	}
	if !utf8.ValidString(memo) {
		return nil, refuse(10000, "the description is no UTF-8")
	}
	text, err := m.invoice(chain, amount, memo)
	if err != nil {
		return nil, refuse(10000, "%v", err)
	}
	q := &mintQuote{id: fmt.Sprintf("mint-%d", m.counter), invoice: text, amount: in.Amount, state: "UNPAID", expiry: m.now().Add(time.Hour)}
	m.mints[q.id], m.latest = q, q
	return m.mintJSON(q), nil
}

func (m *Mint) mintJSON(q *mintQuote) any {
	out := map[string]any{"quote": q.id, "request": q.invoice, "state": q.state, "expiry": q.expiry.Unix()}
	if !m.opts.Bare {
		out["amount"], out["unit"] = q.amount, m.opts.Unit
	}
	return out
}

func (m *Mint) showMint(id string) (any, error) {
	q := m.mints[id]
	if q == nil {
		return nil, refuse(10000, "quote not known")
	}
	return m.mintJSON(q), nil
}

// Pay pays the invoice of a mint quote, as somebody with a Lightning wallet would.
func (m *Mint) Pay(t testing.TB, invoice string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, q := range m.mints {
		if q.invoice == invoice && q.state == "UNPAID" {
			q.state = "PAID"
			m.tell(q)
			return
		}
	}
	t.Fatal("minttest: no unpaid quote has this invoice")
}

func (m *Mint) mint(body []byte, kind Kind) (any, error) {
	var in struct {
		Quote   string          `json:"quote"`
		Outputs []token.Blinded `json:"outputs"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	q := m.mints[in.Quote]
	switch {
	case q == nil:
		return nil, refuse(10000, "quote not known")
	case q.state == "UNPAID":
		return nil, refuse(20001, "quote request is not paid")
	case q.state == "ISSUED":
		return nil, refuse(20002, "quote has already been issued")
	}
	total, err := m.checkOutputs(in.Outputs)
	switch {
	case err != nil:
		return nil, err
	case total != q.amount:
		return nil, refuse(11005, "outputs are %d, the quote is over %d", total, q.amount)
	}
	q.state = "ISSUED"
	signatures, err := m.sign(in.Outputs, kind)
	return map[string]any{"signatures": signatures}, err
}

func (m *Mint) requestMelt(body []byte) (any, error) {
	var in struct {
		Request string `json:"request"`
		Unit    string `json:"unit"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	d, err := wallets.DecodeInvoice(in.Request)
	if err != nil || in.Unit != m.opts.Unit {
		return nil, refuse(11013, "unit or invoice not supported")
	}
	amount := uint64(d.Amount)
	if m.opts.Unit == "sat" {
		amount = (amount + 999) / 1000
	}
	m.counter++
	q := &meltQuote{id: fmt.Sprintf("melt-%d", m.counter), invoice: in.Request, hash: d.PaymentHash, amount: amount, state: "UNPAID"}
	m.melts[q.id] = q
	return m.meltJSON(q), nil
}

func (m *Mint) meltJSON(q *meltQuote) any {
	out := map[string]any{"quote": q.id, "amount": q.amount, "fee_reserve": m.opts.FeeReserve, "state": q.state, "expiry": m.now().Add(time.Hour).Unix()}
	if !m.opts.Bare {
		out["unit"], out["request"] = m.opts.Unit, q.invoice
	}
	if q.state == "PAID" {
		for n := range m.counter + 1 {
			if p := m.preimage(n); !q.pretended && sha256.Sum256(p[:]) == q.hash {
				out["payment_preimage"] = hex.EncodeToString(p[:])
			}
		}
		if len(q.change) > 0 {
			out["change"] = q.change
		}
	}
	return out
}

func (m *Mint) showMelt(id string) (any, error) {
	q := m.melts[id]
	if q == nil {
		return nil, refuse(10000, "quote not known")
	}
	return m.meltJSON(q), nil
}

func (m *Mint) melt(body []byte, kind Kind) (any, error) {
	var in struct {
		Quote   string          `json:"quote"`
		Inputs  []token.Proof   `json:"inputs"`
		Outputs []token.Blinded `json:"outputs"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	q := m.melts[in.Quote]
	switch {
	case q == nil:
		return nil, refuse(10000, "quote not known")
	case q.state == "PAID":
		return nil, refuse(20006, "invoice already paid")
	case q.state == "PENDING":
		return nil, refuse(20005, "quote is pending")
	}
	net, ys, err := m.checkInputs(in.Inputs)
	if err != nil {
		return nil, err
	}
	if net < q.amount+m.opts.FeeReserve {
		return nil, refuse(11005, "inputs less fee are %d, needed are %d", net, q.amount+m.opts.FeeReserve)
	}
	if _, err := m.checkOutputs(in.Outputs); err != nil {
		return nil, err
	}
	if err := (token.Transaction{Inputs: in.Inputs, Outputs: in.Outputs, Quote: in.Quote}).Satisfied(m.now()); err != nil {
		return nil, refuse(10001, "%v", err)
	}
	q.inputs, q.blanks = in.Inputs, in.Outputs
	for _, y := range ys {
		m.pending[y] = true
	}
	q.state = "PENDING"
	if m.payment == Stall {
		return m.meltJSON(q), nil
	}
	q.pretended = m.payment == Pretend
	if err := m.settle(q, m.payment == Succeed || q.pretended, kind); err != nil {
		return nil, err
	}
	if q.state != "PAID" {
		return nil, refuse(20004, "Lightning payment failed")
	}
	return m.meltJSON(q), nil
}

func (m *Mint) settle(q *meltQuote, paid bool, kind Kind) error {
	var total, fee uint64
	for _, p := range q.inputs {
		y, err := p.Y()
		if err != nil {
			return err
		}
		delete(m.pending, y)
		total += p.Amount
		fee += m.keyset(p.KeysetID).fee
		if paid {
			m.spent[y] = true
			m.burned += p.Amount
		}
	}
	if !paid {
		q.state = "UNPAID"
		return nil
	}
	q.state = "PAID"
	if m.opts.NoChange {
		return nil
	}
	left := total - (fee+999)/1000 - q.amount - m.opts.LightningFee
	var outputs []token.Blinded
	for bit := 0; bit < 64 && len(outputs) < len(q.blanks); bit++ {
		if left&(1<<bit) != 0 {
			o := q.blanks[len(outputs)]
			o.Amount = 1 << bit
			outputs = append(outputs, o)
		}
	}
	var err error
	q.change, err = m.sign(outputs, kind)
	return err
}

// Settle ends all payments in flight.
func (m *Mint) Settle(t testing.TB, paid bool) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, q := range m.melts {
		if q.state == "PENDING" {
			if err := m.settle(q, paid, -1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Payments gives the amounts that were paid over Lightning, by payment hash. An invoice that was paid
// twice has two.
func (m *Mint) Payments() map[[32]byte][]uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[[32]byte][]uint64)
	for _, q := range m.melts {
		if q.state == "PAID" && !q.pretended {
			out[q.hash] = append(out[q.hash], q.amount)
		}
	}
	return out
}
