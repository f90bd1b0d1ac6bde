package lnc

import (
	"fmt"
	"strings"

	"gopkg.in/macaroon.v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd"
)

// parseAuthData takes the macaroon out of what the node hands over in the handshake: lines of the
// form "Macaroon: <hex>". Other lines are left alone, since the node has no say in what else we
// send. Errors do not repeat the data.
func parseAuthData(data []byte) (*macaroon.Macaroon, error) {
	var found []string
	for line := range strings.SplitSeq(string(data), "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(strings.TrimSpace(name), "macaroon") {
			found = append(found, strings.TrimSpace(value))
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%w: the session hands over %d macaroons instead of one: make a session of type "+
			"\"custom\" with the rights of LND's invoice.macaroon", wallets.ErrUnauthorized, len(found))
	}
	m, err := lnd.ParseMacaroon([]byte(found[0]))
	if err != nil {
		return nil, fmt.Errorf("%w: the session's macaroon: %w", wallets.ErrUnauthorized, err)
	}
	return m, nil
}
