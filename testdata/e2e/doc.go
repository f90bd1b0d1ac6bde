// Package e2e holds stories that run against the real thing: a Caddy process built from this
// repository, btcd and two LND nodes with a channel, and clients that were not written for it.
// Wallets of other kinds are LND behind something: a SOCKS5 proxy, Lightning Node Connect through
// Aperture's mailbox, Nostr Wallet Connect through a khatru relay, and LNURL servers. Stories of
// several gateways on one storage are told twice, on a folder and on Redis.
//
// Stories that stop or freeze a node run one after the other, before the parallel ones: a parallel
// story may rely on both nodes.
//
// The module shares no code with the gateway: it sees what a client and an operator see.
// Its tests fail where a counterpart cannot be built or started; nothing is skipped.
//
//	cd testdata/e2e && go test ./...
//
// needs Go, Node.js with npm, Chromium, redis-server, nginx, nix-bin, curl, git, and Linux.
// PEERS_BIN names the folder for the built counterparts (default ~/.cache/l402-peers).
// E2E_RACE=1 builds Caddy with the race detector; E2E_CADDY names a finished Caddy to test instead,
// and E2E_CADDY_REDIS one that has the storage module caddy.storage.redis as well.
package e2e
