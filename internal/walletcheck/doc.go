// Package walletcheck tries a configured wallet out: it connects, makes an invoice that nobody is
// meant to pay, decodes it, looks it up, and says what the wallet can do and what to change where
// something fails.
package walletcheck
