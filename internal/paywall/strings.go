package paywall

// Strings are the words of the page for browsers. Another language is another value of this type.
type Strings struct {
	// Lang is the language's tag (RFC 5646).
	Lang string
	// Title is the document's title, and Heading the first line, of an offer.
	Title, Heading string
	// For and Price, Terms, Left and Until name the facts of an offer.
	For, Price, Terms, Left, Until string
	// OpenWallet, Copy, Copied, WebLN and PaidButton name what can be done.
	OpenWallet, Copy, Copied, WebLN, PaidButton string
	// QR says to screen readers what the image is.
	QR string
	// Waiting, Paid, Again, Done, Expired, Failed and Lost are what the line of status says: before
	// the payment, after it, after it where the form has to be sent again, after it where the
	// browser keeps a file and not another page, after the invoice's end, when the browser's wallet
	// did not pay, and while the server does not answer.
	Waiting, Paid, Again, Done, Expired, Failed, Lost string
	// NoScript says how the page goes on without scripts.
	NoScript string
	// Renew asks for another invoice, and Retry for another try.
	Renew, Retry string
	// Invoice and Token name the texts behind Details.
	Invoice, Details, Token, Header string
	// Preimage, PreimageHint and PreimageButton are for wallets that do not tell of payments.
	Preimage, PreimageHint, PreimageButton string
	// Netrc asks for the line for a netrc, and NetrcHint says what it is for.
	Netrc, NetrcHint string
	// Offers names the list of what else can be had.
	Offers string
	// Ecash, EcashRequest, EcashHint and EcashButton are about paying with ecash, EcashWallet opens a
	// wallet for it, EcashQR says what the image is, and Change what a token is.
	Ecash, EcashRequest, EcashHint, EcashButton, EcashWallet, EcashQR, Change string
	// NotMoney warns of the sandbox, and SandboxPay pays there.
	NotMoney, SandboxPay string
	// Notices are said above an offer, by the code of the refusal.
	Notices map[string]string
}

// English are the built-in words.
var English = Strings{
	Lang:  "en",
	Title: "Payment required", Heading: "Pay to continue",
	For: "For", Price: "Price", Terms: "Access", Left: "Time left", Until: "until",
	OpenWallet: "Open in wallet", Copy: "Copy invoice", Copied: "Copied.", WebLN: "Pay in this browser",
	PaidButton: "I have paid",
	QR:         "QR code of the Lightning invoice",
	Waiting:    "Waiting for the payment. This page continues by itself.",
	Paid:       "Paid. One moment…", Again: "Paid. Go back and send the form again.",
	Done:    "Paid. What you paid for is on its way.",
	Expired: "This invoice has expired.", Failed: "The wallet did not pay.",
	Lost:     "The connection is lost; trying again.",
	NoScript: "This page looks for the payment by itself every few seconds.",
	Renew:    "Get a new invoice", Retry: "Try again",
	Invoice: "Invoice as text", Details: "For programs", Token: "Token", Header: "Header",
	Preimage:       "Paid, and nothing happens?",
	PreimageHint:   "Or enter the preimage (proof of payment) that your wallet shows: 64 digits and letters from a to f.",
	PreimageButton: "Continue",
	Netrc:          "Get the line for a netrc", NetrcHint: "After the payment, for curl, git, nix, pip, apt:",
	Ecash:        "Pay with ecash",
	EcashRequest: "Request for ecash", EcashQR: "QR code of the request for ecash",
	EcashHint:   "Paste a token (cashuB…) that is worth at least the price, of",
	EcashButton: "Pay with this token", EcashWallet: "Open in a wallet for ecash or Lightning", Change: "Change",
	NotMoney:   "This is the sandbox: its invoices are not money. Do not pay them from a real wallet.",
	SandboxPay: "Pay in the sandbox",
	Offers:     "All offers",
	Notices: map[string]string{
		"payment_pending":   "The payment has not arrived yet.",
		"invoice_expired":   "The last invoice expired unpaid. Here is a new one.",
		"token_expired":     "The time that you paid for is over.",
		"uses_exhausted":    "What you paid for is used up.",
		"bytes_exhausted":   "What is left of your payment is not enough for this.",
		"token_revoked":     "The operator withdrew what you paid for. Ask the operator before you pay again.",
		"preimage_mismatch": "This is not the preimage of this invoice.",
		"preimage_missing":  "This wallet cannot tell whether your last invoice was paid. If it was, enter its preimage below.",
	},
}
