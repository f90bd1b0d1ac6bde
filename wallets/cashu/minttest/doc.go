// Package minttest is a Cashu mint in memory, for tests: it signs, checks and remembers as NUT-00 to
// NUT-12 say, keeps books of what it has issued, and misbehaves on demand. Its Lightning node is made
// up: invoices are real, payments are not.
package minttest
