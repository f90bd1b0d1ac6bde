package caddyl402

import (
	"context"
	"encoding/json"
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-l402/caddy-l402/internal/buyer"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
)

const metricPrefix = "caddy_l402_"

// definedMetrics are the metrics that the sources define.
func definedMetrics(t *testing.T) (names []string) {
	t.Helper()
	made := func(n ast.Node) []ast.Expr {
		switch x := n.(type) {
		case *ast.CallExpr:
			if f, ok := x.Fun.(*ast.Ident); ok && (f.Name == "counter" || f.Name == "stateDesc") {
				return x.Args[:1]
			}
		case *ast.KeyValueExpr:
			if key, ok := x.Key.(*ast.Ident); ok && key.Name == "Name" {
				return []ast.Expr{x.Value}
			}
		}
		return nil
	}
	for _, file := range []string{"metrics.go", "metrics_ledger.go", "metrics_cashu.go"} {
		for _, name := range stringsIn(t, file, made) {
			names = append(names, metricPrefix+name)
		}
	}
	return names
}

// exportedMetrics are the names with their labels that /metrics shows of a gate to which a bit of
// everything happened.
func exportedMetrics(t *testing.T) map[string]map[string]bool {
	t.Helper()
	b := newBourse(t)
	b.set("100000", "100000", "100000")
	m := minttest.New(t, minttest.Options{})
	s := serve(t, "wallet play sandbox\n\t\twallet broken fake docs\n\t\twallet quiet fake quiet\n\t\tpricer till http "+tillDouble(t).URL+
		"\n\t\t"+b.sources(t)+"\n"+cashuBlock(m, "redeem_to play"), `
	l402 /p/* pricer till
	l402 /m/* 10 sat {
		uses 2
		limit 3 1h
	}
	l402 /broken/* 10 sat {
		wallet broken
	}
	l402 /quiet/* 10 sat {
		wallet quiet
	}
	l402 /free/* 10 sat {
		free 1 1h
	}
	l402 /dry/* 10 sat {
		dry_run
	}
	error /m/error 500
	test_upstream`)
	fake(t, "docs").fail(func(context.Context) error { return errDown })
	challenge := s.challenge(s.want(402, "GET", "/m/x"))
	p := purchase{challenge, s.pay(challenge.Invoice)}
	s.want(402, "HEAD", "/m/x")
	s.want(402, "GET", "/m/x", "Authorization", "L402 x:y")
	s.want(429, "GET", "/m/x")
	s.want(200, "GET", "/m/x", "Authorization", p.authorization())
	s.want(500, "GET", "/m/error", "Authorization", p.authorization())
	s.want(503, "GET", "/broken/x")
	s.want(200, "GET", "/quiet/x", "Authorization", s.buy("/quiet/x").authorization())
	s.want(200, "GET", "/free/x")
	s.want(200, "GET", "/dry/x")
	s.want(402, "GET", "/p/film")
	s.want(503, "GET", "/p/nothing")
	metrics.notified("delivered")
	purchases := metrics.purchases("play")
	purchases.Paid(1000)
	purchases.Payment("paid")
	purchases.Refused(buyer.CodeOverBudget)
	ecash := &cashuSite{s, m}
	ecash.fund("", 256)
	adminJSON[pursesAnswer](t, "POST", "/l402/cashu/redeem", `{}`)
	m.SetPayment(minttest.Fail)
	ecash.fund("", 256)
	adminJSON[pursesAnswer](t, "POST", "/l402/cashu/redeem", `{}`)

	registry := prometheus.NewRegistry()
	if err := metrics.register(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	exported := map[string]map[string]bool{}
	for _, family := range families {
		labels := map[string]bool{}
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels[label.GetName()] = true
		}
		exported[family.GetName()] = labels
		if family.GetMetric()[0].GetHistogram() != nil {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				exported[family.GetName()+suffix] = labels
			}
		}
	}
	return exported
}

var (
	metricPattern   = regexp.MustCompile(metricPrefix + `[a-z0-9_]+`)
	selectorPattern = regexp.MustCompile(`(` + metricPrefix + `[a-z0-9_]+)\{([^}]*)\}`)
	labelPattern    = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
)

// TestDocsMetrics compares the page on metrics, the dashboard and the alerts with what is exported:
// everything that they use exists, with the labels that they select, and the page names everything.
func TestDocsMetrics(t *testing.T) {
	exported := exportedMetrics(t)
	doc := docPage(t, "docs/metrics.md")
	for _, name := range definedMetrics(t) {
		if exported[name] == nil {
			t.Errorf("%s is defined and was not exported in this test: make it happen here", name)
		}
		row := regexp.MustCompile("(?m)^\\| `" + name + "` \\|(.*)").FindString(doc)
		if row == "" {
			t.Errorf("the tables leave %s out", name)
		}
		for label := range exported[name] {
			if !strings.Contains(row, label) {
				t.Errorf("the row of %s does not name the label %s", name, label)
			}
		}
	}
	files := map[string]string{}
	for name, text := range readDocs(t) {
		files[name] = text
	}
	for _, name := range []string{"docs/grafana.json", "docs/alerts.yml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(data)
		if uses := metricPattern.FindAllString(string(data), -1); len(uses) < 10 {
			t.Errorf("%s uses %d metrics only", name, len(uses))
		}
	}
	perTarget := []string{"instance", "job", "le"} // what Prometheus adds, and buckets
	for name, text := range files {
		for _, metric := range metricPattern.FindAllString(text, -1) {
			if exported[metric] == nil {
				t.Errorf("%s uses %s, which is not exported", name, metric)
			}
		}
		text = strings.ReplaceAll(text, `\"`, `"`)
		for _, selector := range selectorPattern.FindAllStringSubmatch(text, -1) {
			for _, label := range labelPattern.FindAllStringSubmatch(selector[2], -1) {
				if !exported[selector[1]][label[1]] && !slices.Contains(perTarget, label[1]) {
					t.Errorf("%s: %s has no label %s", name, selector[1], label[1])
				}
			}
		}
	}
	for name := range exported {
		plain := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if !strings.Contains(files["docs/grafana.json"], plain) {
			t.Errorf("the dashboard shows nothing of %s", name)
		}
	}
	var dashboard struct {
		Title  string
		Panels []struct{ Title string }
	}
	if err := json.Unmarshal([]byte(files["docs/grafana.json"]), &dashboard); err != nil || dashboard.Title == "" || len(dashboard.Panels) < 10 {
		t.Errorf("the dashboard cannot be read: %v", err)
	}
}
