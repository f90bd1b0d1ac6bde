#!/usr/bin/env bash
# Measures the gate over real sockets and prints ratios: paid requests with the directive against
# the same Caddy without it, unpaid requests, and Aperture on the same LND and backend.
# Needs Go and wrk; builds everything else. Usage: xcaddy/bench.sh [-rounds 5] [-each 3s] [-connections 32]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command -v wrk >/dev/null || { echo "bench.sh: wrk is missing: apt-get install wrk" >&2; exit 1; }
export PEERS_BIN=${PEERS_BIN:-$HOME/.cache/l402-peers}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "building Caddy, btcd, LND and Aperture" >&2
(cd "$root" && CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags='-s -w' -o "$work/caddy" ./xcaddy)
"$root/testdata/e2e/peers/build.sh" btcd lnd aperture >&2
(cd "$root/testdata/e2e" && go build -buildvcs=false -o "$work/bench" ./cmd/bench)
"$work/bench" -caddy "$work/caddy" -peers "$PEERS_BIN" "$@"
