#!/usr/bin/env bash
# Builds the real programs that the tests run against into $PEERS_BIN (default ~/.cache/l402-peers),
# from modules pinned in mods/*/go.mod. Run it before every use: Go's build cache makes a second run
# take seconds, and no stale program is ever tested. About 14 minutes of one core from nothing.
# The replace lines in mods/ are those of the programs' own go.mod files, which `go install` refuses.
# Usage: build.sh [btcd|lnd|aperture|relay|mint ...]      (no names: btcd lnd)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${PEERS_BIN:-$HOME/.cache/l402-peers}
mkdir -p "$out"
out=$(cd "$out" && pwd)
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(btcd lnd)
export GOFLAGS=-buildvcs=false GOWORK=off

# build MODULE OUTPUT PACKAGE [FLAG...]
build() {
  local mod=$1 name=$2 package=$3
  shift 3
  (cd "$here/mods/$mod" && go build -p 2 -trimpath -ldflags='-s -w' "$@" -o "$out/$name" "$package")
}

lnd_tags='autopilotrpc chainrpc invoicesrpc neutrinorpc peersrpc routerrpc signrpc walletrpc watchtowerrpc'
for part in "${parts[@]}"; do
  case $part in
    btcd) CGO_ENABLED=0 GOBIN=$out go install github.com/btcsuite/btcd@v0.26.2 ;;
    # lowscrypt is one of LND's own tags: a start takes 0.3 s instead of 3 s.
    lnd) CGO_ENABLED=0 build lnd lnd github.com/lightningnetwork/lnd/cmd/lnd -tags "$lnd_tags lowscrypt" ;;
    aperture)
      CGO_ENABLED=0 build lnc aperture github.com/lightninglabs/aperture/cmd/aperture
      CGO_ENABLED=0 build lnc lncserver ./cmd/lncserver
      ;;
    relay) CGO_ENABLED=0 build relay relay . ;;
    mint)
      CGO_ENABLED=1 build mint mint github.com/elnosh/gonuts/cmd/mint
      CGO_ENABLED=1 build mint nutw github.com/elnosh/gonuts/cmd/nutw
      ;;
    *)
      echo "build.sh: no such part: $part (btcd lnd aperture relay mint)" >&2
      exit 2
      ;;
  esac
  echo "built $part in $out"
done
