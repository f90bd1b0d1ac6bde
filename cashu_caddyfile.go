package caddyl402

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// parseCashu reads
//
//	cashu {
//		mint         <address...>
//		unit         sat|msat
//		seed         <words>
//		timeout      <duration>
//		max_fee      <number> sat|msat
//		require_dleq
//		request_b
//		p2pk {
//			max_value <number> sat|msat
//			max_age   <duration>
//		}
//		redeem_to <wallet|address> {
//			above   <amount>
//			every   <duration>
//			min     <amount>
//			max_fee [<percent>%] [<amount>]
//			keep    <amount>
//		}
//	}
//
// The line `mint` can be repeated.
func (a *App) parseCashu(d *caddyfile.Dispenser) error {
	if a.Cashu != nil {
		return d.Err("cashu is given twice: put everything into one block")
	}
	if d.NextArg() {
		return d.Errf("cashu has a block: write `cashu {`, and in it `mint %s`", d.Val())
	}
	c := new(Cashu)
	a.Cashu = c
	seen := map[string]bool{}
	for d.NextBlock(1) {
		option := d.Val()
		if seen[option] && option != "mint" {
			return d.Errf("option %q of cashu is given twice", option)
		}
		seen[option] = true
		var err error
		switch option {
		case "mint":
			mints := d.RemainingArgs()
			if len(mints) == 0 {
				return d.ArgErr()
			}
			c.Mints = append(c.Mints, mints...)
		case "unit":
			err = word(d, &c.Unit)
		case "seed":
			err = word(d, &c.Seed)
		case "timeout":
			err = duration(d, &c.Timeout)
		case "max_fee":
			err = amountText(d, &c.MaxFee)
		case "require_dleq":
			err = given(d, &c.RequireDLEQ)
		case "request_b":
			err = given(d, &c.RequestB)
		case "p2pk":
			err = parseP2PK(d, &c.P2PK)
		case "redeem_to":
			c.RedeemTo, err = parseRedemption(d)
		default:
			return unknownOption(d, "cashu", "mint", "unit", "seed", "timeout", "max_fee", "require_dleq", "request_b", "p2pk",
				"redeem_to")
		}
		if err != nil {
			return err
		}
	}
	if len(c.Mints) == 0 {
		return d.Err("cashu names no mint: add at least one whose ecash is taken, such as `mint https://mint.example.com`")
	}
	return nil
}

func parseP2PK(d *caddyfile.Dispenser, into **CashuP2PK) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	p := new(CashuP2PK)
	*into = p
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "max_value":
			err = amountText(d, &p.MaxValue)
		case "max_age":
			err = duration(d, &p.MaxAge)
		default:
			return unknownOption(d, "p2pk", "max_value", "max_age")
		}
		if err != nil {
			return err
		}
	}
	if p.MaxValue == "" {
		return d.Err("p2pk has no max_value: say how much ecash may wait to be swapped, such as `max_value 10000 sat`")
	}
	return nil
}

// amountText reads a number and a unit.
func amountText(d *caddyfile.Dispenser, into *string) error {
	var number, unit string
	if !d.Args(&number, &unit) || d.NextArg() {
		return d.ArgErr()
	}
	*into = number + " " + unit
	return nil
}

func given(d *caddyfile.Dispenser, into *bool) error {
	*into = true
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// parseCashu reads `cashu on` or `cashu off`.
func (h *Handler) parseCashu(d *caddyfile.Dispenser) error {
	if err := word(d, &h.Cashu); err != nil {
		return err
	}
	if h.Cashu != "on" && h.Cashu != "off" {
		return d.Errf("cashu %q: use on or off", h.Cashu)
	}
	return nil
}
