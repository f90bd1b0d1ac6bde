// Package rates turns prices in currencies such as the dollar into millisatoshi, at rates that it
// asks public or own web servers for.
//
// A rate is never a guess. Several sources are asked, those that agree within a bound are the
// majority and at least a minimum number, and their median is the rate. It is used until it is
// too old. Sources that disagree, and a rate that jumps away from the last one, make that there is
// no rate until they agree again or the jump has been seen several times in a row. Whoever asks
// then gets an error that wraps ErrNoRate.
//
// Amounts and rates are decimal numbers of math/big; floating point touches none of them. Prices
// are rounded up, so that a price is never zero and never less than what was asked for.
//
// A Market asks its sources while somebody asks it for rates, and for some minutes after. It goes
// on through reloads: each configuration attaches itself and detaches itself later, as it does with
// wallets.
package rates
