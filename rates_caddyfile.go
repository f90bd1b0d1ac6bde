package caddyl402

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/internal/rates"
)

// parseRates reads
//
//	rates [<source...>] {
//		source      <name> [<url> <json path> [<currency>]] {
//			time_path <json path>
//		}
//		min_sources <n>
//		max_age     <duration>
//		max_spread  <percentage>
//		max_change  <percentage>
//		refresh     <duration>
//		timeout     <duration>
//		round       sat|msat
//	}
func (a *App) parseRates(d *caddyfile.Dispenser) error {
	if a.Rates != nil {
		return d.Err("rates is given twice: put everything into one block")
	}
	s := new(RateSettings)
	a.Rates = s
	for _, name := range d.RemainingArgs() {
		s.Sources = append(s.Sources, &RateSource{Name: name})
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "source":
			err = s.parseSource(d)
		case "min_sources":
			var text string
			if err = word(d, &text); err == nil {
				if s.MinSources, err = strconv.Atoi(text); err != nil || s.MinSources < 1 {
					return d.Errf("min_sources %q is not a number from 1 on", text)
				}
			}
		case "max_age":
			err = duration(d, &s.MaxAge)
		case "max_spread":
			err = word(d, &s.MaxSpread)
		case "max_change":
			err = word(d, &s.MaxChange)
		case "refresh":
			err = duration(d, &s.Refresh)
		case "timeout":
			err = duration(d, &s.Timeout)
		case "round":
			err = word(d, &s.Round)
		default:
			return unknownOption(d, "rates", "source", "min_sources", "max_age", "max_spread", "max_change", "refresh", "timeout", "round")
		}
		if err != nil {
			return err
		}
	}
	var x exchange
	x.sources = rates.DefaultSources()
	if err := s.read(&x); err != nil {
		return d.Errf("rates: %v", err)
	}
	return nil
}

func (s *RateSettings) parseSource(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	source := new(RateSource)
	switch len(args) {
	case 4:
		source.Currency = args[3]
		fallthrough
	case 3:
		source.URL, source.Path = args[1], args[2]
		fallthrough
	case 1:
		source.Name = args[0]
	default:
		return d.Err("expected `source <name> [<url> <json path> [<currency>]]`")
	}
	s.Sources = append(s.Sources, source)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if option := d.Val(); option != "time_path" || source.URL == "" {
			return d.Errf("unknown option %q of source %s", option, source.Name)
		}
		if err := word(d, &source.TimePath); err != nil {
			return err
		}
	}
	return nil
}

// parsePricer reads
//
//	pricer <name> http|grpc <address> {
//		timeout  <duration>
//		cache    <duration>
//		headers  <name...>
//		ca       <file>
//		insecure
//		secret   <text>
//	}
func (a *App) parsePricer(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 3 {
		return d.Err("expected `pricer <name> http|grpc <address>`")
	}
	name := args[0]
	if a.Pricers[name] != nil {
		return d.Errf("pricer %q is declared twice", name)
	}
	if a.Pricers == nil {
		a.Pricers = make(map[string]*PriceProgram)
	}
	p := &PriceProgram{Protocol: args[1], Address: args[2]}
	a.Pricers[name] = p
	if p.Protocol != "http" && p.Protocol != "grpc" {
		return d.Errf("pricer %q is asked over http or grpc, not %q", name, p.Protocol)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "timeout":
			err = duration(d, &p.Timeout)
		case "cache":
			err = duration(d, &p.Cache)
		case "headers":
			err = words(d, &p.Headers)
		case "ca":
			err = word(d, &p.CA)
		case "insecure":
			if d.NextArg() {
				return d.ArgErr()
			}
			p.Insecure = true
		case "secret":
			err = word(d, &p.Secret)
		default:
			return unknownOption(d, "pricer", "timeout", "cache", "headers", "ca", "insecure", "secret")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
