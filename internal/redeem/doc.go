// Package redeem turns ecash into Lightning: when a purse holds enough, or on schedule, it has the
// mint pay an invoice of the operator's own wallet or Lightning address.
//
// Each step is stored before the next one is taken. First the invoice, then the payment, which the
// purse makes only once for an invoice, then its end. So a crash between any two of them neither pays
// twice nor forgets a payment: whoever runs next finds the invoice and asks how it went. A new
// invoice is made only when the old one surely was not paid and never will be.
package redeem
