package wallettest

import "github.com/caddy-l402/caddy-l402/wallets"

// checks is the suite, in the order in which it runs.
var checks = []check{
	{"create", nil, checkCreate},
	{"amounts", nil, checkAmounts},
	{"absurd amounts", nil, checkAbsurdAmounts},
	{"memos", nil, checkMemos},
	{"bad memos", nil, checkBadMemos},
	{"unique hashes", nil, checkUnique},
	{"storage errors", nil, checkStorageErrors},

	{"lookup", nil, checkLookup},
	{"lookup of an unknown hash", []Ability{Lookup}, checkUnknownHash},
	{"lookup of an expired invoice", []Ability{Lookup, Expire}, checkExpired},
	{"lookup of a canceled invoice", []Ability{Lookup, Cancel}, checkCanceled},

	{"canceled context", nil, checkCanceledContext},
	{"hanging peer", []Ability{Hang}, checkHang},
	{"slow peer", []Ability{Slow}, checkSlow},
	{"garbage", []Ability{Garbage}, checkFault(Garbage, nil)},
	{"huge answer", []Ability{Huge}, checkHuge},
	{"credential refused", []Ability{Unauthorized}, checkFault(Unauthorized, wallets.ErrUnauthorized)},
	{"server error", []Ability{ServerError}, checkFault(ServerError, nil)},
	{"disconnect", []Ability{Disconnect}, checkDisconnect},
	{"wrong amount", []Ability{WrongAmount}, checkLie(WrongAmount)},
	{"wrong hash", []Ability{WrongHash}, checkLie(WrongHash)},
	{"wrong network", []Ability{WrongNetwork}, checkLie(WrongNetwork)},
	{"duplicate hash", []Ability{DuplicateHash}, checkDuplicate},

	{"subscription", nil, checkSubscribe},
	{"subscription alone", []Ability{Subscribe}, checkSubscribeAlone},
	{"ping", []Ability{Ping}, checkPing},
	{"permissions", nil, checkPermissions},
	{"hold invoices", []Ability{Hold, Pay, Lookup}, checkHold},
	{"outgoing payments", []Ability{Outgoing}, checkOutgoing},
	{"all at once", nil, checkStress},
	{"closed", nil, checkClosed},
}
