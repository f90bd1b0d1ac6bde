package purse

import "github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"

func publicKeys(keys []*ecash.PrivateKey) []*ecash.PublicKey {
	out := make([]*ecash.PublicKey, len(keys))
	for i, k := range keys {
		out[i] = k.PubKey()
	}
	return out
}
