package caddyl402

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/meter"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/internal/probe"
	"github.com/caddy-l402/caddy-l402/l402"
)

// PerSize is a price by size.
type PerSize struct {
	// The number of bytes that each cost the price; a begun one counts. Required.
	Size uint64 `json:"size,omitempty"`

	// What each of them costs, besides the handler's price. Required.
	Price string `json:"price,omitempty"`
}

var (
	// errNothingThere says that what would be sold is not there.
	errNothingThere = errors.New("there is nothing to sell at this address")
	// errNoLength says that an upload does not tell its length.
	errNoLength = errors.New("the request does not tell its length")
	// errOutgrown ends a request whose answer is longer than the one that was sold.
	errOutgrown = errors.New("the answer is longer than the one that was sold")
)

// maxProbes is how many answers of a handler may be asked for their length at the same time.
const maxProbes = 64

// sized is a price that grows with the size of what is uploaded or of what would be sent.
type sized struct {
	pricing.BySize
	handler *Handler
	probes  chan struct{}
}

// readSize checks the settings of a price by size.
func (h *Handler) readSize(base amount, least, most lnwire.MilliSatoshi) error {
	if h.PerSize == nil {
		return nil
	}
	per, err := pricing.ParseText(h.PerSize.Price)
	switch {
	case err != nil:
		return fmt.Errorf("per: %w", err)
	case h.PerSize.Size < 1 || h.PerSize.Size > maxUses:
		return fmt.Errorf("per %d bytes: use a size such as MiB, 100KB or GiB", h.PerSize.Size)
	case base.fixed == 0 || len(h.Prices) > 0:
		return errors.New("per: a price by size goes with a fixed price in sat, msat or btc, and not with lines `price`")
	}
	h.source = &sized{handler: h, probes: make(chan struct{}, maxProbes), BySize: pricing.BySize{
		Base: base.fixed, Per: per, Unit: int64(h.PerSize.Size), Least: least, Most: most,
	}}
	return nil
}

// ask implements priceSource.
func (s *sized) ask(r *http.Request, next caddyhttp.Handler, to *deal) error {
	size, unknown := r.ContentLength, errNoLength
	if chargedMethod(r.Method) == http.MethodGet {
		var err error
		if size, err = s.probe(r, next); err != nil {
			return err
		}
		unknown = fmt.Errorf("%w: nobody tells the size", errPriceUnknown)
	}
	price, bytes, ok := s.Price(size)
	switch {
	case !ok && size < 0:
		return unknown
	case !ok:
		return fmt.Errorf("%w: %d bytes cost more than all bitcoins", errPriceUnknown, size)
	}
	to.price, to.size = price, uint64(bytes)
	return nil
}

// probe asks for the length of what would be sent.
func (s *sized) probe(r *http.Request, next caddyhttp.Handler) (int64, error) {
	if next == nil {
		return 0, errNoSource
	}
	select {
	case s.probes <- struct{}{}:
		defer func() { <-s.probes }()
	default:
		return 0, fmt.Errorf("%w: too many sizes are being asked for", errPriceUnknown)
	}
	// Gates behind this one must not make invoices of their own for it.
	passage := passageFor(r)
	passage.probing = true
	defer func() { passage.probing = false }()
	size, err := probe.Size(r, next, func(header http.Header) { l402.Strip(header, l402.FormAll) })
	switch {
	case errors.Is(err, probe.ErrNothing):
		return 0, errNothingThere
	case err != nil:
		return 0, fmt.Errorf("%w: %w", errPriceUnknown, err)
	}
	return size, nil
}

// covers tells whether a request uploads no more than was sold.
func (s *sized) covers(r *http.Request, sold uint64) bool {
	if unlimited(sold) || chargedMethod(r.Method) == http.MethodGet {
		return true
	}
	return r.ContentLength >= 0 && uint64(r.ContentLength) <= sold
}

// guard lets no answer through that has grown since it was sold. What compresses answers on their
// way can make them a little longer.
func (s *sized) guard(next caddyhttp.Handler, sold uint64) caddyhttp.Handler {
	if unlimited(sold) {
		return next
	}
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if !strings.EqualFold(r.Method, http.MethodGet) {
			return next.ServeHTTP(w, r)
		}
		if strings.Contains(r.Header.Get("Range"), ",") {
			r.Header.Del("Range") // several parts in one answer have no length to check
		}
		limited := meter.NewCap(w, int64(sold+sold/64+4096))
		err := serveLimited(limited, r, next)
		if limited.Cut() {
			panic(http.ErrAbortHandler) // the client must not take a part for the whole
		}
		return err
	})
}

// serveLimited gives errOutgrown for an answer that was withheld.
func serveLimited(w *meter.Cap, r *http.Request, next caddyhttp.Handler) (err error) {
	defer func() {
		if !w.Withheld() {
			return
		}
		// A reverse proxy whose writes fail breaks the connection off, which is not needed here.
		if fault := recover(); fault != nil && fault != http.ErrAbortHandler {
			panic(fault)
		}
		err = errOutgrown
	}()
	return next.ServeHTTP(w, r)
}

// unlimited tells whether a size that was sold is any size, or one that no answer has.
func unlimited(sold uint64) bool { return sold >= 1<<60 }

// admitSized is admit for a token that was sold for a size.
func (h *Handler) admitSized(s *sized, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, to deal, g *l402.Grant) error {
	if !s.covers(r, g.Size) {
		return h.challenge(w, r, next, to, l402.ErrWrongRequest)
	}
	before := w.Header().Clone()
	err := h.let(w, r, s.guard(next, g.Size), to, g)
	if !errors.Is(err, errOutgrown) {
		return err
	}
	// The upstream has set headers for an answer that nobody gets.
	clear(w.Header())
	for name, values := range before {
		w.Header()[name] = values
	}
	return h.challenge(w, r, next, to, l402.ErrWrongRequest)
}

// String implements priceSource.
func (s *sized) String() string {
	text := fmt.Sprintf("%s and %s per %s", pricing.Format(s.Base), pricing.Format(s.Per), humanize.IBytes(uint64(s.Unit)))
	if s.Unit&(s.Unit-1) != 0 {
		text = fmt.Sprintf("%s and %s per %d bytes", pricing.Format(s.Base), pricing.Format(s.Per), s.Unit)
	}
	if s.Least > 0 {
		text += ", at least " + pricing.Format(s.Least)
	}
	if s.Most > 0 {
		text += ", at most " + pricing.Format(s.Most)
	}
	return text
}

// span implements priceSource.
func (s *sized) span() (least, most lnwire.MilliSatoshi) {
	least, _, _ = s.Price(0)
	return least, s.Most
}

// parsePer reads
//
//	per <size> <number> <unit>
func (h *Handler) parsePer(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 3 {
		return d.Err("expected `per <size> <number> <unit>`, such as `per MiB 2 sat`")
	}
	size := args[0]
	if _, err := strconv.Atoi(size[:min(1, len(size))]); err != nil {
		size = "1" + size
	}
	bytes, err := humanize.ParseBytes(size)
	if err != nil || bytes < 1 {
		return d.Errf("per %q: use a size such as MiB, 100KB or GiB", args[0])
	}
	h.PerSize = &PerSize{Size: bytes, Price: args[1] + " " + args[2]}
	if _, err := pricing.ParseText(h.PerSize.Price); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Guard.
var _ priceSource = (*sized)(nil)
