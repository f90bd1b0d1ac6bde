package caddyl402

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

// ledgerOf is the app's ledger while it is open.
func (a *App) openLedger() (*ledger.Ledger, error) {
	book := a.books.Ledger()
	if book == nil {
		return nil, adminError(http.StatusServiceUnavailable, errors.New("the ledger is not open: storage does not work"))
	}
	return book, nil
}

func ledgerError(err error) error {
	switch {
	case errors.Is(err, ledger.ErrInvalid):
		return adminError(http.StatusBadRequest, err)
	case errors.Is(err, ledger.ErrNotFound):
		return adminError(http.StatusNotFound, err)
	}
	return adminError(http.StatusServiceUnavailable, err)
}

// revocationFacts is a revocation as the admin API shows it.
type revocationFacts struct {
	Kind  ledger.Kind `json:"kind"`
	Value string      `json:"value"`
	At    time.Time   `json:"at"`
	Until *time.Time  `json:"until,omitempty"`
}

// adminRevocations lists what is revoked.
func (a *App) adminRevocations(*http.Request) (any, error) {
	book, err := a.openLedger()
	if err != nil {
		return nil, err
	}
	list := []revocationFacts{}
	for _, r := range book.Revocations() {
		facts := revocationFacts{Kind: r.Kind, Value: r.Value, At: r.At}
		if !r.Until.IsZero() {
			facts.Until = &r.Until
		}
		list = append(list, facts)
	}
	return map[string]any{"revocations": list}, nil
}

// adminRevoke revokes a token, a payment or all tokens of a service that exist now; with "undo"
// it takes that back.
func (a *App) adminRevoke(r *http.Request) (any, error) {
	var body struct {
		Kind  ledger.Kind `json:"kind"`
		Value string      `json:"value"`
		Undo  bool        `json:"undo"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	if body.Kind == "" {
		return nil, adminError(http.StatusBadRequest, errors.New(`no kind: use "token", "payment" or "service"`))
	}
	book, err := a.openLedger()
	if err != nil {
		return nil, err
	}
	if body.Undo {
		n, err := book.Unrevoke(r.Context(), body.Kind, body.Value)
		if err != nil {
			return nil, ledgerError(err)
		}
		return map[string]any{"removed": n}, nil
	}
	if err := book.Revoke(r.Context(), body.Kind, body.Value, time.Time{}); err != nil {
		return nil, ledgerError(err)
	}
	return map[string]any{"kind": body.Kind, "value": body.Value}, nil
}

// paymentFacts is what is known of a payment. It holds no secret.
type paymentFacts struct {
	PaymentHash string           `json:"payment_hash"`
	Settlement  *settlementFacts `json:"settlement,omitempty"`
	UsesLeft    *int64           `json:"uses_left,omitempty"`
	BytesLeft   *int64           `json:"bytes_left,omitempty"`
	Revoked     bool             `json:"revoked"`
}

type settlementFacts struct {
	PaymentHash string    `json:"payment_hash"`
	Time        time.Time `json:"time"`
	Service     string    `json:"service"`
	Tier        uint8     `json:"tier"`
	AmountMsat  uint64    `json:"amount_msat"`
	Wallet      string    `json:"wallet"`
	Scheme      string    `json:"scheme"`
	TokenID     string    `json:"token_id"`
	Tenant      string    `json:"tenant,omitempty"`
}

func factsOf(s ledger.Settlement) settlementFacts {
	return settlementFacts{
		PaymentHash: hex.EncodeToString(s.PaymentHash[:]), Time: s.Time, Service: s.Service, Tier: s.Tier,
		AmountMsat: s.AmountMsat, Wallet: s.Wallet, Scheme: s.Scheme,
		TokenID: hex.EncodeToString(s.TokenID[:]), Tenant: s.Tenant,
	}
}

// adminPayment tells what is known of a payment: GET /l402/payments/<payment hash or token id>.
func (a *App) adminPayment(r *http.Request) (any, error) {
	id, err := parseID(strings.TrimPrefix(r.URL.Path, "/l402/payments/"))
	if err != nil {
		return nil, adminError(http.StatusBadRequest, err)
	}
	book, err := a.openLedger()
	if err != nil {
		return nil, err
	}
	var facts *paymentFacts
	for s, err := range book.Settlements(r.Context(), ledger.Filter{}) {
		if err != nil {
			return nil, ledgerError(err)
		}
		if s.PaymentHash == id || s.TokenID == id {
			settled := factsOf(s)
			facts = &paymentFacts{PaymentHash: settled.PaymentHash, Settlement: &settled}
			facts.Revoked = book.Revoked(s.TokenID, s.PaymentHash, s.Service, time.Time{})
			id = s.PaymentHash
			break
		}
	}
	if facts == nil {
		return nil, adminError(http.StatusNotFound, errors.New("no payment with this payment hash or token id is recorded"))
	}
	if left, ok := book.Remaining(id); ok {
		facts.UsesLeft, facts.BytesLeft = &left.Uses, &left.Bytes
	}
	return facts, nil
}

func parseID(text string) (id [32]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("%q is no payment hash or token id: use 64 hex digits", text)
	}
	return [32]byte(raw), nil
}

// maxSettlements is the most that one answer lists.
const maxSettlements = 1000

// adminSettlements lists payments of all instances:
// GET /l402/settlements?since=<time>&service=<name>&limit=<n>.
func (a *App) adminSettlements(r *http.Request) (any, error) {
	book, err := a.openLedger()
	if err != nil {
		return nil, err
	}
	filter, err := reportFilter(r)
	if err != nil {
		return nil, err
	}
	limit := 100
	if text := r.URL.Query().Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxSettlements {
			return nil, adminError(http.StatusBadRequest, fmt.Errorf("limit %q: use a number from 1 to %d", text, maxSettlements))
		}
	}
	list := []settlementFacts{}
	for s, err := range book.Settlements(r.Context(), filter) {
		if err != nil {
			return nil, ledgerError(err)
		}
		if list = append(list, factsOf(s)); len(list) == limit {
			break
		}
	}
	return map[string]any{"settlements": list}, nil
}

// adminReport adds payments of all instances up: GET /l402/report?by=day|service|wallet|tenant|scheme&since=<time>.
func (a *App) adminReport(r *http.Request) (any, error) {
	book, err := a.openLedger()
	if err != nil {
		return nil, err
	}
	filter, err := reportFilter(r)
	if err != nil {
		return nil, err
	}
	by := ledger.ReportBy(r.URL.Query().Get("by"))
	setDefault(&by, ledger.ByDay)
	rows, err := book.Report(r.Context(), by, filter)
	if err != nil {
		return nil, ledgerError(err)
	}
	return map[string]any{"by": by, "rows": rows}, nil
}

// reportFilter reads since, until (RFC 3339, a date, or an age such as 24h or 7d) and service.
func reportFilter(r *http.Request) (f ledger.Filter, err error) {
	query := r.URL.Query()
	f.Service = query.Get("service")
	for name, into := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if text := query.Get(name); text != "" {
			if *into, err = parseTime(text); err != nil {
				return f, adminError(http.StatusBadRequest, fmt.Errorf("%s %w", name, err))
			}
		}
	}
	return f, nil
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if age, err := caddy.ParseDuration(text); err == nil && age > 0 {
		return time.Now().Add(-age), nil
	}
	return time.Time{}, fmt.Errorf("%q: use a time such as 2026-01-31, 2026-01-31T12:00:00Z or 7d", text)
}
