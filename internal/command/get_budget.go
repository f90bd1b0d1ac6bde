package command

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// The environment variables with limits that hold besides those of the flags. Who starts an agent
// sets them, and the agent's own flags can only lower them.
const (
	envBudget     = "L402_BUDGET"
	envHostBudget = "L402_HOST_BUDGET"
)

// account is the book of spending that the flags and the environment ask for, or nil.
func (o *getOptions) account() (*budget.File, error) {
	var rules []budget.Rule
	add := func(source string, texts []string, parse func(string) (budget.Rule, error)) error {
		for _, text := range texts {
			rule, err := parse(text)
			if err != nil {
				return usageError("%s: %v", source, err)
			}
			rules = append(rules, rule)
		}
		return nil
	}
	whole := func(text string) (budget.Rule, error) {
		limit, err := budget.ParseLimit(text)
		return budget.Rule{Limit: limit}, err
	}
	for _, step := range []struct {
		source string
		texts  []string
		parse  func(string) (budget.Rule, error)
	}{
		{"--budget", o.budgets, whole},
		{"--host-budget", o.hostBudgets, budget.ParseHostLimit},
		{envBudget, listOf(os.Getenv(envBudget)), whole},
		{envHostBudget, listOf(os.Getenv(envHostBudget)), budget.ParseHostLimit},
	} {
		if err := add(step.source, step.texts, step.parse); err != nil {
			return nil, err
		}
	}
	if len(rules) == 0 && o.spendingFile == "" {
		return nil, nil
	}
	path := o.spendingFile
	if path == "" {
		path = filepath.Join(caddy.AppDataDir(), "l402", "spending.json")
	}
	return &budget.File{Path: path, Rules: rules}, nil
}

// listOf takes a list apart that is separated by commas; nothing is none.
func listOf(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// budgetLeft is what a limit still allows, as JSON.
type budgetLeft struct {
	// Host is the host that the limit is for, absent where it is for all.
	Host          string `json:"host,omitempty"`
	LimitMsat     uint64 `json:"limit_msat"`
	WindowSeconds int64  `json:"window_seconds"`
	SpentMsat     uint64 `json:"spent_msat"`
	LeftMsat      uint64 `json:"left_msat"`
}

// left tells what the budgets still allow at the host that was asked last.
func (p *output) left(result *client.Result, network wallets.Network) ([]budgetLeft, error) {
	if p.account == nil || result.URL == nil {
		return nil, nil
	}
	all, err := p.account.Left(network, client.HostOf(result.URL))
	if err != nil {
		return nil, err
	}
	out := []budgetLeft{}
	for _, l := range all {
		out = append(out, budgetLeft{
			Host: l.Host, LimitMsat: uint64(l.Amount), WindowSeconds: int64(l.Window.Seconds()),
			SpentMsat: uint64(l.Spent), LeftMsat: uint64(l.Left),
		})
	}
	return out, nil
}
