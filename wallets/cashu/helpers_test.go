package cashu

import "github.com/caddy-l402/caddy-l402/wallets/cashu/purse"

// terms take all of a token.
var terms = purse.Terms{}
