// Package budget keeps account of money that is spent by machines, and says no in time.
//
// A Book lists what was spent and when. A payment is reserved in it before it is made and settled
// or released after; one whose end is not known counts as spent. Limits hold for any window of
// their length, not for calendar days: what was spent counts until it is older than the window.
// Networks are counted apart, since only one of them is money.
//
// A Book itself does no I/O. File keeps one in a file that several processes share.
package budget
