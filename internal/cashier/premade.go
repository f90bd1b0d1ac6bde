package cashier

import (
	"context"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// maxShelves bounds for how many kinds of invoice some are made beforehand.
	maxShelves = 64
	// demandWindow is how long a request for a kind of invoice counts as recent demand.
	demandWindow = 30 * time.Second
)

// shelf holds invoices of one kind that were made beforehand.
type shelf struct {
	mu       sync.Mutex
	invoices []*wallets.Invoice // the oldest first
	asked    []time.Time        // recent demand, the oldest first; at most the size wanted + 1
	making   int
}

// Take gives an invoice at once where one was made beforehand, and else makes one as Invoice
// does. Up to size invoices of a kind are kept ready while that kind is in demand. One request
// alone makes none: as many are kept ready as were asked for again within demandWindow. So a
// stranger who asks for a thousand different kinds gets a thousand invoices and causes no more.
//
// An invoice that was kept has at least three quarters of its life left.
func (c *Cashier) Take(ctx context.Context, req wallets.InvoiceRequest, size int) (*wallets.Invoice, error) {
	if size <= 0 {
		return c.Invoice(ctx, req)
	}
	s := c.shelf(req)
	var inv *wallets.Invoice
	now := time.Now()
	if c.Healthy() {
		for inv = s.take(now, req.Expiry*3/4); inv != nil && c.recalled(inv.PaymentHash); {
			inv = s.take(now, req.Expiry*3/4)
		}
	}
	if inv == nil {
		var err error
		if inv, err = c.Invoice(ctx, req); err != nil {
			s.clear()
			return nil, err
		}
	}
	for range s.missing(now, size) {
		if !c.background(func() { c.restock(s, req) }) {
			s.made(nil)
		}
	}
	return inv, nil
}

// Premade is how many invoices are ready.
func (c *Cashier) Premade() (n int) {
	for _, s := range c.shelves.Values() {
		s.mu.Lock()
		n += len(s.invoices)
		s.mu.Unlock()
	}
	return n
}

// restock makes one invoice for a shelf.
func (c *Cashier) restock(s *shelf, req wallets.InvoiceRequest) {
	inv, err := c.Invoice(c.ctx, req)
	if err != nil {
		s.clear() // a wallet that fails cannot be paid either
	}
	s.made(inv)
}

func (c *Cashier) shelf(req wallets.InvoiceRequest) *shelf {
	if s, ok := c.shelves.Get(req); ok {
		return s
	}
	s := new(shelf)
	if known, loaded, _ := c.shelves.PeekOrAdd(req, s); loaded {
		return known
	}
	return s
}

func newShelves() *lru.Cache[wallets.InvoiceRequest, *shelf] {
	shelves, err := lru.New[wallets.InvoiceRequest, *shelf](maxShelves)
	if err != nil { // only for sizes below one
		panic(err)
	}
	return shelves
}

// take removes the oldest invoice that has enough of its life left, or returns nil.
func (s *shelf) take(now time.Time, life time.Duration) *wallets.Invoice {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.invoices) > 0 {
		inv := s.invoices[0]
		s.invoices = s.invoices[1:]
		if inv.ExpiresAt.Sub(now) >= life {
			return inv
		}
	}
	return nil
}

// missing notes a demand and tells how many invoices to make now; they count as being made.
func (s *shelf) missing(now time.Time, size int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.asked) > 0 && (now.Sub(s.asked[0]) > demandWindow || len(s.asked) > size) {
		s.asked = s.asked[1:]
	}
	s.asked = append(s.asked, now)
	n := max(min(size, len(s.asked)-1)-len(s.invoices)-s.making, 0)
	s.making += n
	return n
}

// made puts an invoice that was being made on the shelf; nil says that it failed.
func (s *shelf) made(inv *wallets.Invoice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.making--
	if inv != nil {
		s.invoices = append(s.invoices, inv)
	}
}

func (s *shelf) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.invoices = nil
}
