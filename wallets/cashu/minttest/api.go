package minttest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

var errNotFound = errors.New("no such path")

func (m *Mint) do(r *http.Request, body []byte, kind Kind, broken bool) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !broken {
		kind = -1
	}
	key := r.URL.Path + string(body)
	if cached, ok := m.cache[key]; ok && r.Method == http.MethodPost {
		return cached, nil
	}
	v, err := m.route(r.Method, r.URL.Path, body, kind)
	if err != nil {
		return nil, err
	}
	out := answer(v)
	if m.opts.Cached && (r.URL.Path == "/v1/swap" || r.URL.Path == "/v1/mint/bolt11" || r.URL.Path == "/v1/melt/bolt11") {
		m.cache[key] = out
	}
	return out, nil
}

func (m *Mint) route(method, path string, body []byte, kind Kind) (any, error) {
	name, rest := path, ""
	for _, prefix := range []string{"/v1/keys/", "/v1/mint/quote/bolt11/", "/v1/melt/quote/bolt11/"} {
		if after, ok := strings.CutPrefix(path, prefix); ok {
			name, rest = prefix, after
		}
	}
	switch method + " " + name {
	case "GET /v1/info":
		return m.info(), nil
	case "GET /v1/keysets":
		return m.listKeysets(), nil
	case "GET /v1/keys/":
		return m.showKeys(rest)
	case "POST /v1/swap":
		return m.swap(body, kind)
	case "POST /v1/checkstate":
		return m.checkState(body)
	case "POST /v1/restore":
		if m.opts.NoRestore {
			return nil, errNotFound
		}
		return m.restore(body)
	case "POST /v1/mint/quote/bolt11":
		return m.requestMint(body, kind)
	case "GET /v1/mint/quote/bolt11/":
		return m.showMint(rest)
	case "POST /v1/mint/bolt11":
		return m.mint(body, kind)
	case "POST /v1/melt/quote/bolt11":
		return m.requestMelt(body)
	case "GET /v1/melt/quote/bolt11/":
		return m.showMelt(rest)
	case "POST /v1/melt/bolt11":
		return m.melt(body, kind)
	}
	return nil, errNotFound
}

func (m *Mint) info() any {
	supported := map[string]bool{"supported": true}
	nuts := map[string]any{"7": supported, "10": supported, "11": supported, "14": supported}
	if !m.opts.NoRestore {
		nuts["9"] = supported
	}
	if !m.opts.NoChange {
		nuts["8"] = supported
	}
	if !m.opts.NoDLEQ {
		nuts["12"] = supported
	}
	method := map[string]any{"method": "bolt11", "unit": m.opts.Unit, "options": map[string]bool{"description": m.opts.Description}}
	nuts["4"] = map[string]any{"methods": []any{method}, "disabled": false}
	if m.opts.Socket {
		nuts["17"] = map[string]any{"supported": []any{
			map[string]any{"method": "bolt11", "unit": m.opts.Unit, "commands": []string{"bolt11_mint_quote"}},
		}}
	}
	if m.opts.Cached {
		nuts["19"] = map[string]any{"ttl": 60, "cached_endpoints": []map[string]string{{"method": "POST", "path": "/v1/swap"}}}
	}
	return map[string]any{"name": "minttest", "version": "minttest/1", "nuts": nuts}
}

func (m *Mint) listKeysets() any {
	list := []map[string]any{}
	for _, k := range m.keysets {
		list = append(list, map[string]any{"id": k.id, "unit": m.opts.Unit, "active": k.active, "input_fee_ppk": k.fee})
	}
	return map[string]any{"keysets": list}
}

func (m *Mint) showKeys(id string) (any, error) {
	k := m.keyset(ecash.KeysetID(id))
	if k == nil {
		return nil, refuse(12001, "keyset is not known")
	}
	keys := make(map[string]string)
	for amount, key := range k.keys {
		keys[strconv.FormatUint(amount, 10)] = hex.EncodeToString(key.PubKey().SerializeCompressed())
	}
	return map[string]any{"keysets": []any{map[string]any{"id": k.id, "unit": m.opts.Unit, "keys": keys}}}, nil
}

// checkInputs verifies inputs and gives their value less the fee, and their points.
func (m *Mint) checkInputs(inputs []token.Proof) (net uint64, ys [][33]byte, err error) {
	if len(inputs) == 0 {
		return 0, nil, refuse(11000, "no inputs")
	}
	if err := token.Check(inputs); err != nil {
		return 0, nil, refuse(11007, "%v", err)
	}
	var fee uint64
	for _, p := range inputs {
		k := m.keyset(p.KeysetID)
		if k == nil {
			return 0, nil, refuse(12001, "keyset is not known")
		}
		fee += k.fee
		if p.DLEQ != nil {
			return 0, nil, refuse(10000, "the wallet told a blinding factor")
		}
		key := k.keys[p.Amount]
		if key == nil || !ecash.Verify(p.Secret, p.C, key) {
			return 0, nil, refuse(10001, "proof verification failed")
		}
		y, err := p.Y()
		switch {
		case err != nil:
			return 0, nil, refuse(10001, "%v", err)
		case m.spent[y]:
			return 0, nil, refuse(11001, "proofs already spent")
		case m.pending[y]:
			return 0, nil, refuse(11002, "proofs are pending")
		}
		ys = append(ys, y)
	}
	total, err := token.Sum(inputs)
	fee = (fee + 999) / 1000
	if err != nil || fee > total {
		return 0, nil, refuse(11005, "the fee is more than the inputs")
	}
	return total - fee, ys, nil
}

func (m *Mint) checkOutputs(outputs []token.Blinded) (uint64, error) {
	var total uint64
	seen := make(map[string]bool)
	for _, o := range outputs {
		k := m.keyset(o.KeysetID)
		switch {
		case k == nil:
			return 0, refuse(12001, "keyset is not known")
		case !k.active:
			return 0, refuse(12002, "keyset is inactive")
		case k.keys[o.Amount] == nil:
			return 0, refuse(11006, "no key for this amount")
		case seen[o.Hex()]:
			return 0, refuse(11008, "duplicate outputs")
		}
		if _, ok := m.signed[o.Hex()]; ok {
			return 0, refuse(11003, "outputs already signed")
		}
		seen[o.Hex()] = true
		total += o.Amount
	}
	return total, nil
}

func (m *Mint) spend(inputs []token.Proof, ys [][33]byte) {
	for i, y := range ys {
		m.spent[y] = true
		m.burned += inputs[i].Amount
	}
}

func (m *Mint) sign(outputs []token.Blinded, kind Kind) ([]signature, error) {
	out := make([]signature, 0, len(outputs))
	for _, o := range outputs {
		amount := o.Amount
		if kind == WrongAmounts && amount > 1 {
			amount /= 2
		}
		key := m.keyset(o.KeysetID).keys[amount]
		if kind == WrongKey {
			key = m.key("not published")
		}
		c, err := ecash.Sign(o.B, key)
		if err != nil {
			return nil, refuse(10000, "%v", err)
		}
		s := signature{Amount: amount, ID: string(o.KeysetID), C: hex.EncodeToString(c.SerializeCompressed())}
		if !m.opts.NoDLEQ {
			d, err := ecash.ProveDLEQ(key, o.B, c)
			if err != nil {
				return nil, refuse(10000, "%v", err)
			}
			if kind == ForgedDLEQ {
				d.S = sha256.Sum256(d.S[:])
			}
			s.DLEQ = &dleqProof{hex.EncodeToString(d.E[:]), hex.EncodeToString(d.S[:])}
		}
		if kind == OtherKeyset {
			s.ID = "00ffffffffffffff"
		}
		m.signed[o.Hex()] = s
		m.issued += amount
		out = append(out, s)
	}
	if kind == FewerSignatures && len(out) > 0 {
		out = out[:len(out)-1]
	}
	return out, nil
}

func decode(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return refuse(10000, "%v", err)
	}
	return nil
}

func (m *Mint) swap(body []byte, kind Kind) (any, error) {
	var in struct {
		Inputs  []token.Proof   `json:"inputs"`
		Outputs []token.Blinded `json:"outputs"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	net, ys, err := m.checkInputs(in.Inputs)
	if err != nil {
		return nil, err
	}
	total, err := m.checkOutputs(in.Outputs)
	switch {
	case err != nil:
		return nil, err
	case total != net:
		return nil, refuse(11005, "inputs less fee are %d, outputs are %d", net, total)
	}
	if err := (token.Transaction{Inputs: in.Inputs, Outputs: in.Outputs}).Satisfied(m.now()); err != nil {
		return nil, refuse(10001, "%v", err)
	}
	m.spend(in.Inputs, ys)
	signatures, err := m.sign(in.Outputs, kind)
	return map[string]any{"signatures": signatures}, err
}

func (m *Mint) restore(body []byte) (any, error) {
	var in struct {
		Outputs []token.Blinded `json:"outputs"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	outputs, signatures := []token.Blinded{}, []signature{}
	for _, o := range in.Outputs {
		if s, ok := m.signed[o.Hex()]; ok {
			outputs, signatures = append(outputs, o), append(signatures, s)
		}
	}
	return map[string]any{"outputs": outputs, "signatures": signatures}, nil
}

func (m *Mint) checkState(body []byte) (any, error) {
	var in struct {
		Ys []string `json:"Ys"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	states := []map[string]string{}
	for _, text := range in.Ys {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != 33 {
			return nil, refuse(10000, "a Y is malformed")
		}
		state := "UNSPENT"
		switch y := [33]byte(b); {
		case m.spent[y]:
			state = "SPENT"
		case m.pending[y]:
			state = "PENDING"
		}
		states = append(states, map[string]string{"Y": text, "state": state})
	}
	return map[string]any{"states": states}, nil
}
