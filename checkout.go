package caddyl402

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/internal/watch"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// A checkout is what the payment page asks of the gate: POST to the page's own address with a mark
// at the end of the query, and in the body, where no log sees it, the token. The address is the
// page's, and not one of the site's own, so that the request takes the page's way through the site
// and finds the same gate, the same payee and the same terms.
//
//	do=watch    a stream of server-sent events that ends with the payment
//	do=poll     the payment's state as JSON
//	do=paid     the cookie for the token, and back to the page; with preimage=… where the
//	            wallet cannot tell that it was paid
//	do=pay      pays in the sandbox
//	do=netrc    the token's line for a netrc, once it is paid, and the cookie too
//	do=ecash    pays with ecash=…, gives the cookie, and leads back to the page
const (
	// checkoutMark marks a checkout of a page that answered GET, and formMark one of a page that
	// answered something else, which loading it again would not repeat.
	checkoutMark = "l402-checkout"
	formMark     = checkoutMark + "=form"

	// maxCheckout bounds the body: two tokens, a preimage and their names.
	maxCheckout = 24 << 10
	// checkoutTimeout bounds the time in which it must arrive.
	checkoutTimeout = 10 * time.Second
)

// watchers are all who watch a payment in this process.
var watchers = watch.NewRoom(watch.MaxWatchers, watch.MaxPerClient, watch.MaxQuestions)

// sameOrigin refuses what other sites make a browser send: whoever could set the cookie of a
// visitor could take away what the visitor paid for.
var sameOrigin = http.NewCrossOriginProtection()

// errOtherSite and errBadCheckout refuse a checkout.
var (
	errOtherSite   = errors.New("The request comes from another site.")
	errBadCheckout = errors.New("The request is none that the payment page sends.")
	errNoSandbox   = errors.New("Only invoices of the sandbox can be paid here, and only from this machine.")
)

// checkout is one such request, with its token checked.
type checkout struct {
	do      string
	token   string // as the page sent it; empty for one of a cookie
	deal    deal
	grant   l402.Grant
	mac     []byte // the token in binary
	proof   string // the preimage in hex, if it is shown and right
	refusal error  // why the token or the preimage is not good
	back    string // the page, or nothing
}

// isCheckout tells whether a request is for serveCheckout.
func (h *Handler) isCheckout(r *http.Request) bool {
	return r.Method == http.MethodPost && h.forms&l402.FormCookie != 0 && markOf(r) != ""
}

// originalRequest is the request as the client sent it, before the site rewrote it.
func originalRequest(r *http.Request) *http.Request {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return &original
	}
	return r
}

// markOf finds the mark of a checkout.
func markOf(r *http.Request) string {
	query := originalRequest(r).URL.RawQuery
	last := query[strings.LastIndexByte(query, '&')+1:]
	if last == checkoutMark || last == formMark {
		return last
	}
	return ""
}

// offerCheckout lets a browser go on by itself after the payment: it gets the token as a cookie,
// and the page knows where to ask. It returns nil for other clients.
func (h *Handler) offerCheckout(w http.ResponseWriter, r *http.Request, to deal, token string, refusal error) *paywall.Checkout {
	mark := markOf(r)
	if h.forms&l402.FormCookie == 0 || r.Method == http.MethodHead || !paywall.Navigates(r) {
		return nil
	}
	c := &paywall.Checkout{Ecash: h.offerEcash(to), Sandbox: sandboxOf(r, to) != nil, Blind: to.cashier != nil && to.cashier.Blind(), Netrc: h.hasLine(r, token)}
	if refusal == l402.ErrPreimageMissing {
		// Nobody knows whether the last token was paid. It must not be lost for a fresh one.
		var grant l402.Grant
		unproven, _ := h.check(r, &to, &grant)
		c.Earlier, c.Blind = encodeToken(unproven), true
	} else {
		h.setCookie(w, r, to, token, "", to.valid)
	}
	fields := ""
	if mark == "" {
		fields, mark = originalRequest(r).URL.RawQuery, checkoutMark
		if r.Method != http.MethodGet {
			mark = formMark
		}
	} else {
		fields = strings.TrimSuffix(strings.TrimSuffix(originalRequest(r).URL.RawQuery, mark), "&")
	}
	if mark == checkoutMark {
		c.Back = backTo(r)
	}
	c.Action = "?" + mark
	if fields != "" {
		c.Action = "?" + fields + "&" + mark
	}
	return c
}

// pageAddress is where a person finds the payment page for a request that a program made. It is
// empty where a browser gets no page, or one that does not go on by itself.
func (h *Handler) pageAddress(r *http.Request) string {
	if h.forms&l402.FormCookie == 0 || r.Method != http.MethodGet && r.Method != http.MethodHead || r.Host == "" {
		return ""
	}
	u := originalRequest(r).URL
	address := url.URL{Scheme: "http", Host: r.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	if isHTTPS(r) {
		address.Scheme = "https"
	}
	return address.String()
}

// backTo is the address of the page that a request came from, relative to its own. It never leads
// to another host: whatever the path says, only its last part is in it, behind a "./".
func backTo(r *http.Request) string {
	u := originalRequest(r).URL
	path := u.EscapedPath()
	back := "./" + path[strings.LastIndexByte(path, '/')+1:]
	query := u.RawQuery
	if mark := markOf(r); mark != "" {
		query = strings.TrimSuffix(strings.TrimSuffix(query, mark), "&")
	}
	if query = withoutOffer(query); query != "" {
		back += "?" + query
	}
	return back
}

// serveCheckout answers a request of the payment page.
func (h *Handler) serveCheckout(w http.ResponseWriter, r *http.Request) error {
	if sameOrigin.Check(r) != nil {
		return h.answer(w, r, checkoutRefused(errOtherSite))
	}
	c, err := h.readCheckout(w, r)
	if err != nil {
		return h.answer(w, r, checkoutRefused(err))
	}
	if c.deal, err = h.dealOf(r); err != nil {
		return h.nobodyToPay(w, r, err)
	}
	// The signature comes before everything that costs anything.
	h.judge(r, c)
	if c.refusal != nil && !errors.Is(c.refusal, l402.ErrPreimageMismatch) {
		return h.refuseCheckout(w, r, c)
	}
	if c.do == "ecash" {
		return h.serveEcashForm(w, r, c)
	}
	if err := c.deal.open(); err != nil {
		return h.nobodyToPay(w, r, err)
	}
	switch c.do {
	case "watch":
		return h.serveWatch(w, r, c)
	case "poll":
		state, err := h.stateOf(r.Context(), c)
		if err != nil {
			return h.answer(w, r, unavailable(c.deal.cashier.RetryAfter()))
		}
		return writeState(w, state)
	case "pay":
		wallet := sandboxOf(r, c.deal)
		if wallet == nil {
			return h.answer(w, r, checkoutRefused(errNoSandbox))
		}
		if inv := c.deal.cashier.Pending(c.grant.PaymentHash, time.Now()); inv != nil {
			if _, err := wallet.Pay(r.Context(), inv.PaymentRequest, 0); err != nil {
				return h.answer(w, r, unavailable(c.deal.cashier.RetryAfter()))
			}
			c.deal.cashier.Settle(c.grant.PaymentHash) // sooner than the wallet tells
		}
	}
	return h.servePaid(w, r, c)
}

// readCheckout reads the form and nothing else.
func (h *Handler) readCheckout(w http.ResponseWriter, r *http.Request) (*checkout, error) {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return nil, errBadCheckout
	}
	control := http.NewResponseController(w)
	// Where the connection knows no deadlines, the server's own have to do.
	_ = control.SetReadDeadline(time.Now().Add(checkoutTimeout))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	r.Body = http.MaxBytesReader(w, r.Body, maxCheckout)
	if r.ParseForm() != nil {
		return nil, errBadCheckout
	}
	c := &checkout{do: r.PostForm.Get("do"), proof: strings.ToLower(strings.TrimSpace(r.PostForm.Get("preimage")))}
	switch c.do {
	case "watch", "poll", "paid", "pay", "netrc", "ecash":
	default:
		return nil, errBadCheckout
	}
	if markOf(r) == checkoutMark {
		c.back = backTo(r)
	}
	return c, nil
}

// judge checks the tokens of a checkout and takes the first one that is good: with the preimage, if
// one is shown, and else without.
func (h *Handler) judge(r *http.Request, c *checkout) {
	try := func(header http.Header) bool {
		g := h.gate
		g.forms = l402.FormL402 | l402.FormCookie
		var mac []byte
		mac, c.refusal = g.checkIn(r, header, c.deal.binding, &c.grant)
		if errors.Is(c.refusal, l402.ErrPreimageMissing) {
			c.mac, c.refusal = mac, nil
		}
		return c.refusal == nil
	}
	tokens := append(r.PostForm["token"], r.PostForm["earlier"]...)
	tokens = tokens[:min(len(tokens), 2)]
	for i, token := range tokens {
		if strings.Trim(token, tokenLetters) != "" {
			tokens[i] = "" // no token, and nothing that could become another header
		}
	}
	if c.proof != "" {
		for _, token := range tokens {
			if len(c.proof) == 64 && token != "" && try(http.Header{"Authorization": {"L402 " + token + ":" + c.proof}}) {
				c.token = token
				return
			}
		}
		c.proof = ""
		defer func() {
			if c.refusal == nil {
				c.refusal = l402.ErrPreimageMismatch // the token is good, what was typed is not
			}
		}()
	}
	if len(tokens) > 0 {
		c.token = tokens[0]
		try(http.Header{"Authorization": {"L402 " + c.token}})
		return
	}
	try(credentialHeaders(r))
}

// tokenLetters are those of base64, standard and for URLs.
const tokenLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="

// refuseCheckout answers a token that is not good. It costs an entry in the client's limit, as any
// refusal, and no call to a wallet, except for a person who wants to go on: that one gets a new
// invoice.
func (h *Handler) refuseCheckout(w http.ResponseWriter, r *http.Request, c *checkout) error {
	if c.do != "watch" && c.do != "poll" && paywall.Navigates(r) {
		// Never to the upstream, which did not ask for this form.
		return h.challenge(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
			return caddyhttp.Error(http.StatusServiceUnavailable, c.refusal)
		}), c.deal, c.refusal)
	}
	metrics.refused(h.Service, l402.Code(c.refusal))
	if wait := h.limiter.Allow(clientAddr(r), h.rate(), time.Now()); wait > 0 {
		metrics.limited(h.Service)
		return h.answer(w, r, tooMany(wait, c.refusal))
	}
	return h.answer(w, r, checkoutRefused(c.refusal))
}

// stateOf asks where the payment stands.
func (h *Handler) stateOf(ctx context.Context, c *checkout) (watch.State, error) {
	if book := h.app.books.Ledger(); c.proof != "" || book != nil && book.Settled(c.grant.PaymentHash) {
		return watch.State{Name: watch.Settled}, nil
	}
	standing, err := c.deal.cashier.Standing(ctx, c.grant.PaymentHash)
	switch {
	case errors.Is(err, wallets.ErrLookupUnsupported):
		return watch.State{Name: watch.Pending, Blind: true}, nil
	case err != nil:
		return watch.State{}, err
	}
	switch standing.State {
	case wallets.StateSettled:
		return watch.State{Name: watch.Settled}, nil
	case wallets.StatePending, wallets.StateAccepted:
		return watch.State{Name: watch.Pending, Blind: c.deal.cashier.Blind()}, nil
	}
	return watch.State{Name: watch.Expired}, nil
}

// serveWatch streams until the payment is there. A watcher too many polls instead.
func (h *Handler) serveWatch(w http.ResponseWriter, r *http.Request, c *checkout) error {
	leave, err := watchers.Enter(clientAddr(r))
	if err != nil {
		return h.answer(w, r, watchedOut(err))
	}
	defer leave()
	told, stop := c.deal.cashier.Await(c.grant.PaymentHash)
	defer stop()
	watchers.Stream(r.Context(), w, watch.Watch{
		Ask:  func(ctx context.Context) (watch.State, error) { return h.stateOf(ctx, c) },
		Told: told, Closing: h.closing,
		Until: time.Now().Add(min(time.Duration(h.InvoiceExpiry)+time.Minute, maxWatch)),
	})
	return nil
}

// maxWatch is the longest life of one stream. The page comes again.
const maxWatch = 30 * time.Minute

// servePaid gives the cookie for a token and leads back to the page.
func (h *Handler) servePaid(w http.ResponseWriter, r *http.Request, c *checkout) error {
	state, err := h.stateOf(r.Context(), c)
	if err != nil && r.Context().Err() == nil {
		return h.answer(w, r, unavailable(c.deal.cashier.RetryAfter()))
	}
	if c.refusal != nil && state.Name != watch.Settled { // a wrong preimage, shown to the person
		if inv := c.deal.cashier.Pending(c.grant.PaymentHash, time.Now()); inv != nil && paywall.Navigates(r) {
			metrics.refused(h.Service, l402.Code(c.refusal))
			h.requote(&c.deal, &c.grant, inv)
			return h.offer(w, r, c.deal, c.mac, inv, c.refusal)
		}
		return h.refuseCheckout(w, r, c)
	}
	life := time.Duration(h.Valid)
	if c.grant.ValidUntil > 0 {
		until := time.Until(time.Unix(c.grant.ValidUntil, 0))
		if len(h.choices) > 0 {
			life = until // an offer may last longer than what is sold without a word
		}
		life = min(life, until)
	}
	token := c.token
	if token == "" {
		token = encodeToken(c.mac)
	}
	if token != "" && (state.Name == watch.Settled || !h.holdsPaid(r, c)) {
		h.setCookie(w, r, c.deal, token, c.proof, life)
	}
	if !paywall.Navigates(r) {
		return writeState(w, state)
	}
	if c.do == "netrc" && state.Name == watch.Settled {
		if p := h.netrcLine(r, token, c.proof); p != nil {
			paywall.Write(w, r, p)
			return nil
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	if c.back == "" {
		p := sendAgain(state)
		p.Look = h.look
		paywall.Write(w, r, p)
		return nil
	}
	w.Header().Set("Location", c.back)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// holdsPaid tells whether the browser has another token for this product that is paid: an unpaid one
// must not take its place.
func (h *Handler) holdsPaid(r *http.Request, c *checkout) bool {
	cookie, err := r.Cookie(h.cookieName(c.deal))
	if err != nil {
		return false
	}
	other := checkout{deal: c.deal}
	_, refusal := h.gate.checkIn(r, http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}}, c.deal.binding, &other.grant)
	if refusal == nil {
		return true
	}
	if !errors.Is(refusal, l402.ErrPreimageMissing) || other.grant.PaymentHash == c.grant.PaymentHash {
		return false
	}
	state, err := h.stateOf(r.Context(), &other)
	return err != nil || state.Name == watch.Settled
}

// writeState answers a script.
func writeState(w http.ResponseWriter, state watch.State) error {
	body, err := json.Marshal(state)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
	return nil
}

// provisionCheckout ends the streams of this server when it begins to shut down, since Caddy waits
// for requests and a stream would outlive its configuration.
func (h *Handler) provisionCheckout(ctx caddy.Context) {
	h.closing = context.Background()
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server != nil {
		closing, shut := context.WithCancel(context.Background())
		server.RegisterOnShutdown(shut)
		h.closing = closing
	}
}
