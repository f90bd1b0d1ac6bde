// Package buyer buys what a proxied request needs: a Buyer sends requests to an upstream, pays the
// L402 challenges that come back from the operator's wallet, and sends them again.
//
// It is careful with money. An offer is paid only if it is within the price limit and the budget and
// passes the checks of package client. Requests that want the same at the same time share one
// purchase, within the process by waiting for one another and between instances by a lock of the
// storage. A purchase is stored before it is paid and with its proof after, so that a process that
// dies in between pays the same invoice again, which a Lightning wallet does once. Within one request
// at most one purchase is made, and an upstream that takes money and gives nothing is left alone for
// a while, longer each time.
//
// Tokens belong to the operator, not to the client whose request needed one, and go to nobody but
// the origin that sold them.
package buyer
