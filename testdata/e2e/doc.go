// Package e2e holds stories that run against the real thing: a Caddy process built from this
// repository, btcd and two LND nodes with a channel, and clients that were not written for it.
//
// The module shares no code with the gateway: it sees what a client and an operator see.
// Its tests fail where a counterpart cannot be built or started; nothing is skipped.
//
//	cd testdata/e2e && go test ./...
//
// needs Go, Node.js with npm, and Linux. PEERS_BIN names the folder for the built counterparts
// (default ~/.cache/l402-peers). E2E_RACE=1 builds Caddy with the race detector; E2E_CADDY names a
// finished Caddy to test instead.
package e2e
