package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// TestDeployedClients lets clients from npm that were not written for this gateway buy something
// over real Lightning and use it twice.
func TestDeployedClients(t *testing.T) {
	dir := npm(t)
	for _, args := range [][]string{
		{"lightning-tools.mjs", "l402"},
		{"lightning-tools.mjs", "any"},
		{"lightning-tools.mjs", "mpp"},
		{"mppx.mjs", "plain"},
		{"mppx.mjs", "beside"},
		{"alby-tools.mjs"},
	} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			net, gw, up := lndShop(t)
			cmd := exec.CommandContext(t.Context(), "node", append(args, gw.Base+"/premium/a")...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), lndREST(net.Alice, net.Alice.AdminMacaroon())...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.Bytes())
			}
			var result struct {
				Payments int
				Amount   *int
				Answers  [][2]any
				Header   string // of the Payment scheme
				Receipt  struct{ Status, Method, Reference, ChallengeID string }
			}
			if err := json.Unmarshal(out, &result); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			if result.Payments != 1 {
				t.Errorf("the client paid %d times, want once", result.Payments)
			}
			if result.Amount != nil && *result.Amount != 10 {
				t.Errorf("the client read a price of %d sat, want 10", *result.Amount)
			}
			if len(result.Answers) != 2 {
				t.Fatalf("%d answers", len(result.Answers))
			}
			for _, a := range result.Answers {
				if a[0] != 200.0 || a[1] != "GET /premium/a" {
					t.Errorf("answer %v %q, want the upstream's", a[0], a[1])
				}
			}
			if n := up.Count(); n != 2 {
				t.Errorf("%d requests reached the upstream, want 2", n)
			}
			if args[0] != "mppx.mjs" {
				return
			}
			header, foreign := "Authorization", ""
			if args[1] == "beside" {
				header, foreign = "Payment-Authorization", "Bearer of-the-upstream"
			}
			if r := result.Receipt; result.Header != header || r.Status != "success" || r.Method != "lightning" ||
				len(r.Reference) != 64 {
				t.Errorf("credential in %s, receipt %+v", result.Header, r)
			}
			if got := up.Last(t).Header.Get("Authorization"); got != foreign {
				t.Errorf("the upstream got Authorization %q, want %q", got, foreign)
			}
		})
	}
}
