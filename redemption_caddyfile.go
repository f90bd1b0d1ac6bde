package caddyl402

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/internal/redeem"
)

// parseRedemption reads
//
//	redeem_to <wallet|address> {
//		above   <amount>
//		every   <duration>
//		min     <amount>
//		max_fee [<percent>%] [<amount>]
//		keep    <amount>
//	}
func parseRedemption(d *caddyfile.Dispenser) (*Redemption, error) {
	r := new(Redemption)
	if err := word(d, &r.To); err != nil {
		return nil, err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "above":
			err = redeemAmount(d, &r.Above)
		case "min":
			err = redeemAmount(d, &r.Min)
		case "keep":
			err = redeemAmount(d, &r.Keep)
		case "every":
			err = duration(d, &r.Every)
		case "max_fee":
			r.MaxFee = strings.Join(d.RemainingArgs(), " ")
			if _, _, bad := redeem.ParseFee(r.MaxFee); bad != nil {
				err = d.Errf("max_fee: %v", bad)
			}
		default:
			err = unknownOption(d, "redeem_to", "above", "min", "keep", "every", "max_fee")
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// redeemAmount reads an amount, which may be 0.
func redeemAmount(d *caddyfile.Dispenser, into *string) error {
	option := d.Val()
	text := strings.Join(d.RemainingArgs(), " ")
	if _, err := redeem.ParseAmount(text); err != nil {
		return d.Errf("%s: %v", option, err)
	}
	*into = text
	return nil
}
