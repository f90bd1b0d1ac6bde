// Package receipts signs receipts of payments, so that a third party can check them with nothing
// but the public keys that the site publishes: compact JWS (RFC 7515) with Ed25519 (RFC 8037), and
// the keys as a JWK set (RFC 7517).
//
// The private keys lie in Caddy's storage, one object each, named l402/receipts/<key id>.key, and
// are made when the first receipt is asked for. Instances that share the storage share the keys:
// each signs with the newest one and publishes all. Two instances that make one at the same moment
// make two, which does no harm.
package receipts
