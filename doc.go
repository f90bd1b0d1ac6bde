// Package caddyl402 is a Caddy module that charges for HTTP routes over the Lightning Network
// with the L402 protocol: a request without proof of payment gets 402 with an invoice and a
// token, and a request with the paid token passes after a check in memory.
//
// A request meets Handler (module.go), which asks gate (gate.go) whether a credential opens the
// route, lets it go on (admit), asks the wallet where only the wallet knows (detect.go), or
// answers (challenge.go). App (app.go) holds the wallets and keys that all routes share.
package caddyl402
