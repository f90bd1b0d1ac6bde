package caddyl402

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/internal/pricer"
)

// PriceProgram is a program of the operator that tells what requests cost.
type PriceProgram struct {
	// How it is asked: "http", with a POST of JSON, or "grpc", as Aperture asks. Required.
	Protocol string `json:"protocol,omitempty"`

	// Where it is: a URL, or for gRPC host:port or unix:<path>. Placeholders such as {env.PRICES}
	// are replaced when the configuration is loaded. Required.
	Address string `json:"address,omitempty"`

	// How long it may take to answer. Default: 3s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How long an answer counts for requests that are the same to the program. Default: it is
	// asked each time.
	Cache caddy.Duration `json:"cache,omitempty"`

	// The headers of requests that it is told.
	Headers []string `json:"headers,omitempty"`

	// The path of a file with the program's certificate, or that of its authority, in PEM.
	// Default: the authorities that the system trusts.
	CA string `json:"ca,omitempty"`

	// Asks without TLS where that is not on this machine or in a private network, and over gRPC
	// in any case.
	Insecure bool `json:"insecure,omitempty"`

	// What is sent along as a bearer token, so that the program knows who asks. Placeholders are
	// replaced.
	Secret string `json:"secret,omitempty"`
}

// program is a price program that routes can use.
type program struct {
	*pricer.Program
	headers []string
}

// provisionPricers checks the settings of all programs and takes them from the pool. Nobody is
// dialled yet.
func (a *App) provisionPricers() error {
	a.programs = make(map[string]*program, len(a.Pricers))
	for name, p := range a.Pricers {
		if err := a.openPricer(name, p); err != nil {
			return fmt.Errorf("pricer %s: %w", name, err)
		}
	}
	return nil
}

func (a *App) openPricer(name string, p *PriceProgram) error {
	if p == nil {
		return errors.New("it has no settings")
	}
	config := pricer.Config{
		Kind: p.Protocol, Timeout: time.Duration(p.Timeout), Keep: time.Duration(p.Cache), CA: p.CA, Insecure: p.Insecure,
	}
	repl := caddy.NewReplacer()
	var err error
	if config.Address, err = repl.ReplaceOrErr(p.Address, true, true); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if p.Secret != "" {
		if config.Secret, err = repl.ReplaceOrErr(p.Secret, true, true); err != nil {
			return fmt.Errorf("secret: %w", err)
		}
	}
	opened := new(program)
	for _, header := range p.Headers {
		canonical, err := pricer.CheckHeader(header)
		if err != nil {
			return fmt.Errorf("headers: %w", err)
		}
		if !slices.Contains(opened.headers, canonical) {
			opened.headers = append(opened.headers, canonical)
		}
	}
	// The name is that of its metrics, so that it makes another program.
	id := name + " " + config.ID()
	value, _, err := programs.LoadOrNew(id, func() (caddy.Destructor, error) {
		made, err := pricer.New(config)
		if err == nil {
			made.Called = func(took time.Duration, err error) { metrics.priced(name, took, err) }
		}
		return made, err
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pooled = append(a.pooled, pooled{programs, id})
	opened.Program = value.(*pricer.Program)
	a.programs[name] = opened
	return nil
}

// program finds a declared price program. Its answers may be in a currency, so that rates may be
// needed.
func (a *App) program(name string) (*program, error) {
	p := a.programs[name]
	if p == nil {
		names := make([]string, 0, len(a.programs))
		for known := range a.programs {
			names = append(names, known)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("price program %q is not declared: add `pricer %s http|grpc <address>` to the global "+
			"l402 options; there is %s", name, name, strings.Join(append(names, "no other"), ", "))
	}
	return p, a.openMarket()
}
