package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// adminCall sends in as JSON to the admin API and reads the answer into out; both may be nil.
func adminCall(t *testing.T, gw *gateway.Gateway, method, path string, in, out any) {
	t.Helper()
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := gw.Admin(t.Context(), method, path, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

// reports waits until a gateway's report has so many payments by service: they are written in
// groups.
func reports(t *testing.T, gw *gateway.Gateway, want map[string]int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := proc.Poll(ctx, "a report of all instances", func() error {
		var report struct {
			Rows []struct {
				Key        string `json:"key"`
				Payments   int64  `json:"payments"`
				AmountMsat int64  `json:"amount_msat"`
			} `json:"rows"`
		}
		adminCall(t, gw, "GET", "/l402/report?by=service", nil, &report)
		got := make(map[string]int64)
		for _, row := range report.Rows {
			got[row.Key] = row.Payments
			if row.AmountMsat != row.Payments*10_000 {
				t.Fatalf("%d payments of 10 sat for %s make %d msat", row.Payments, row.Key, row.AmountMsat)
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("payments by service are %v, want %v", got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
