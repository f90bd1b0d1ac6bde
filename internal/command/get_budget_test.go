package command_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// spendResult is what an agent reads of get.
type spendResult struct {
	Status int
	Paid   *struct {
		AmountMsat  int    `json:"amount_msat"`
		FeeMsat     *int   `json:"fee_msat"`
		PaymentHash string `json:"payment_hash"`
	}
	Offer *struct {
		AmountMsat int `json:"amount_msat"`
	}
	Budget []struct {
		Host          string
		LimitMsat     int `json:"limit_msat"`
		WindowSeconds int `json:"window_seconds"`
		SpentMsat     int `json:"spent_msat"`
		LeftMsat      int `json:"left_msat"`
	}
	TokenSaved bool   `json:"token_saved"`
	ErrorCode  string `json:"error_code"`
	ExitCode   int    `json:"exit_code"`
}

func (m *market) spend(args ...string) (r spendResult) {
	m.t.Helper()
	got := m.get(append([]string{"--json"}, args...)...)
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
		m.t.Fatalf("%v in %+v", err, got)
	}
	if r.ExitCode != got.code(m.t) {
		m.t.Errorf("exit code %d, and the JSON says %d", got.code(m.t), r.ExitCode)
	}
	return r
}

func TestGetWithinBudget(t *testing.T) {
	m := newMarket(t)
	book := filepath.Join(t.TempDir(), "book", "spending.json")
	flags := []string{"--spending-file", book, "--budget", "25sat/day", "--host-budget", "1000 sat/hour", "--max-fee", "0"}
	for n := 1; n <= 2; n++ {
		r := m.spend(flags...)
		if r.Status != 200 || r.Paid == nil || r.Paid.FeeMsat == nil || *r.Paid.FeeMsat != 0 || len(r.Paid.PaymentHash) != 64 || len(r.Budget) != 2 {
			t.Fatalf("purchase %d: %+v", n, r)
		}
		if b := r.Budget[0]; b.Host != "" || b.LimitMsat != 25_000 || b.WindowSeconds != 86400 || b.SpentMsat != n*10_000 || b.LeftMsat != 25_000-n*10_000 {
			t.Errorf("purchase %d: %+v", n, b)
		}
		if b := r.Budget[1]; b.Host != strings.TrimPrefix(m.URL, "http://") || b.LeftMsat != 1_000_000-n*10_000 {
			t.Errorf("purchase %d: %+v", n, b)
		}
	}
	r := m.spend(flags...)
	if r.ExitCode != 6 || r.ErrorCode != "over_budget" || r.Paid != nil || r.Offer == nil || r.Offer.AmountMsat != 10_000 || m.payments != 2 {
		t.Errorf("over budget: %+v, %d payments", r, m.payments)
	}
	if got := m.get(flags...); got.code(t) != 6 || !strings.Contains(got.stderr, "25 sat per 24h in all") || got.stdout != "" {
		t.Errorf("%+v", got)
	}
	if info, err := os.Stat(book); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestGetBudgetFromTheEnvironment(t *testing.T) {
	m := newMarket(t)
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("L402_BUDGET", "1000 sat/week,15 sat/day")
	if r := m.spend("--budget", "1000000sat/day", "--max-fee", "0"); r.ExitCode != 0 {
		t.Fatalf("%+v", r)
	}
	if r := m.spend("--budget", "1000000sat/day", "--max-fee", "0"); r.ErrorCode != "over_budget" || m.payments != 1 {
		t.Errorf("a flag overrides the environment: %+v", r)
	}
	t.Setenv("L402_BUDGET", "")
	t.Setenv("L402_HOST_BUDGET", "other.test=1 sat/day,15 sat/day")
	if r := m.spend(); r.ErrorCode != "over_budget" {
		t.Errorf("the book was not shared: %+v", r)
	}
}

func TestGetBudgetRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		args       []string
		env        string
		code, paid int
		says       string
	}{
		"bad budget":      {args: []string{"--budget", "10 sat"}, code: 2, says: "--budget"},
		"bad host budget": {args: []string{"--host-budget", "a.test=ten"}, code: 2, says: "--host-budget"},
		"bad environment": {env: "lots", code: 2, says: "L402_BUDGET"},
		"no book":         {args: []string{"--spending-file", "/dev/null/x"}, code: 6, says: "book of spending"},
		"fee counts":      {args: []string{"--spending-file", filepath.Join(t.TempDir(), "s"), "--budget", "19sat/day"}, code: 6, says: "up to 20 sat"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMarket(t)
			t.Setenv("L402_BUDGET", test.env)
			got := m.get(test.args...)
			if got.code(t) != test.code || !strings.Contains(got.stderr, test.says) || m.payments != test.paid {
				t.Errorf("exit code %d, %d payments; stderr: %s", got.code(t), m.payments, got.stderr)
			}
		})
	}
	m := newMarket(t)
	for word, args := range map[string][]string{"price_above_max": {"--max", "1"}, "http_status": {"--fail"}} {
		m.status = 404
		r := m.spend(args...)
		if r.ErrorCode != word || word == "price_above_max" && (r.Offer == nil || r.Offer.AmountMsat != 10_000) {
			t.Errorf("%s: %+v", word, r)
		}
	}
	m.failPay = true
	if r := m.spend(); r.ErrorCode != "payment_failed" || r.ExitCode != 4 {
		t.Errorf("%+v", r)
	}
}
