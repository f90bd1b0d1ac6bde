package caddyl402

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/limit"
	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/internal/receipts"
)

// deskLimiter names the limiter of the desk, which is no service's.
const deskLimiter = ""

// desk hands out receipts. It belongs to an app.
type desk struct {
	app     *App
	logger  *zap.Logger
	signer  *receipts.Signer
	limiter *limit.Limiter
	finds   chan struct{}
	found   *lru.Cache[lntypes.Hash, ledger.Settlement]
}

func newDesk(a *App) (*desk, error) {
	limiter, err := a.limiter(deskLimiter)
	if err != nil {
		return nil, err
	}
	found, err := lru.New[lntypes.Hash, ledger.Settlement](maxFound)
	if err != nil {
		return nil, err
	}
	logger := a.logger.Named("receipts")
	return &desk{
		app: a, logger: logger, signer: receipts.New(a.ctx.Storage(), logger), limiter: limiter,
		finds: make(chan struct{}, maxFinds), found: found,
	}, nil
}

// serve answers one question; see deskQuestion.
func (d *desk) serve(w http.ResponseWriter, r *http.Request, question string) {
	switch {
	case paywall.IsPreflight(r):
		paywall.NewPreflightWriter(w, r).Finish()
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		paywall.Write(w, r, methodRefused())
	case question == deskKeys:
		d.serveKeys(w, r)
	default:
		if p := d.serveReceipt(w, r, strings.TrimPrefix(question, deskReceipts)); p != nil {
			d.refuse(w, r, p)
		}
	}
}

// serveKeys writes the JWK set, which everybody may read, keep and share.
func (d *desk) serveKeys(w http.ResponseWriter, r *http.Request) {
	set, err := d.signer.JWKS(r.Context())
	if err != nil {
		d.failed("receipt keys cannot be listed", err)
		paywall.Write(w, r, noReceiptNow(time.Second))
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "public, max-age=300")
	d.write(w, r, "application/jwk-set+json", append(set, '\n'))
}

// serveReceipt writes a receipt, or returns why not.
func (d *desk) serveReceipt(w http.ResponseWriter, r *http.Request, text string) *paywall.Problem {
	raw, err := parseID(text)
	if err != nil {
		return noReceipt("The address does not end with a payment hash, which has 64 hex digits.")
	}
	hash := lntypes.Hash(raw)
	id, paid, refusal := d.credential(r, hash)
	if refusal != nil {
		return receiptRefused(refusal)
	}
	s, err := d.find(r.Context(), id, paid)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return noReceipt("No payment with this payment hash is recorded yet.")
	case err != nil:
		d.failed("a payment cannot be looked up for its receipt", err)
		return noReceiptNow(time.Second)
	}
	receipt := &receipts.Receipt{
		Issuer: strings.ToLower(r.Host), PaymentHash: hash.String(), AmountMsat: s.AmountMsat, Service: s.Service, Tier: s.Tier,
		SettledAt: s.Time.UTC().Truncate(time.Second), Scheme: s.Scheme, TokenID: hex.EncodeToString(s.TokenID[:]),
	}
	jws, err := d.signer.Sign(r.Context(), receipt)
	if err != nil {
		d.failed("a receipt cannot be signed", err)
		return noReceiptNow(time.Second)
	}
	d.writeReceipt(w, r, receipt, jws)
	return nil
}

// refuse writes a problem, within the client's limit.
func (d *desk) refuse(w http.ResponseWriter, r *http.Request, p *paywall.Problem) {
	rate := limit.Rate{Events: defaultLimitEvents, Window: defaultLimitWindow}
	if p.Status != http.StatusServiceUnavailable {
		if wait := d.limiter.Allow(clientAddr(r), rate, time.Now()); wait > 0 {
			p = tooManyReceipts(wait)
		}
	}
	if p.Status == http.StatusUnauthorized {
		// RFC 9110 wants a challenge. It is not one of L402, which clients would pay.
		w.Header().Set("WWW-Authenticate", `Bearer realm="l402 receipts"`)
	}
	paywall.Write(w, r, p)
}

// failed logs what is wrong with the storage, unless the client went away.
func (d *desk) failed(message string, err error) {
	if !errors.Is(err, context.Canceled) {
		if c := d.logger.Check(zap.WarnLevel, message); c != nil {
			c.Write(zap.Error(err))
		}
	}
}

// writeReceipt writes a receipt in the form that the client accepts.
func (d *desk) writeReceipt(w http.ResponseWriter, r *http.Request, receipt *receipts.Receipt, jws string) {
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	h.Add("Vary", "Authorization, Accept")
	paywall.CORS(h, r)
	if wantsJOSE(r.Header["Accept"]) {
		d.write(w, r, "application/jose", []byte(jws+"\n"))
		return
	}
	body, err := json.Marshal(struct {
		Receipt *receipts.Receipt `json:"receipt"`
		JWS     string            `json:"jws"`
	}{receipt, jws})
	if err != nil {
		body = nil // strings and numbers always encode
	}
	d.write(w, r, "application/json", append(body, '\n'))
}

// wantsJOSE tells whether a client names application/jose and does not rule it out.
func wantsJOSE(accept []string) bool {
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			mediaType, params, err := mime.ParseMediaType(part)
			if err != nil || mediaType != "application/jose" {
				continue
			}
			if q, given := params["q"]; !given || strings.Trim(q, "0.") != "" {
				return true
			}
		}
	}
	return false
}

// write writes an answer of status 200; HEAD gets the same headers and no body.
func (d *desk) write(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
	}
}
