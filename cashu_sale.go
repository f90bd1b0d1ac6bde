package caddyl402

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// errElsewhere refuses ecash that bought something else before.
var errElsewhere = errors.New("This ecash has paid for something else.")

// cashSale is what a request buys with ecash.
type cashSale struct {
	handler *Handler
	bound   l402.Terms // host and path
	deal    deal
	purse   string // the name of the purse that it goes into

	receipt  *purse.Receipt
	preimage lntypes.Preimage
	hash     lntypes.Hash
	at       time.Time // when what was bought begins
	macaroon []byte    // the L402 token
	line     string    // the same as in Authorization
}

// saleNote is kept with the payment: what was bought, and on which terms.
type saleNote struct {
	Product string        `json:"p"`
	Price   uint64        `json:"m"`
	Uses    uint64        `json:"u,omitempty"`
	Bytes   uint64        `json:"b,omitempty"`
	Valid   time.Duration `json:"v"`
	Size    uint64        `json:"s,omitempty"`
	Tier    uint8         `json:"t,omitempty"`
}

// product names what a token of this sale opens. The same ecash never opens two.
func (s *cashSale) product() string {
	h := s.handler
	capabilities := slices.Sorted(slices.Values(h.Capabilities))
	sum := sha256.Sum256([]byte(strings.Join(append([]string{
		h.Service, fmt.Sprint(h.Tier), s.bound.Host, s.bound.Path, s.deal.binding, s.deal.tenant,
	}, capabilities...), "\x00")))
	return hex.EncodeToString(sum[:16])
}

func (s *cashSale) note() (string, error) {
	b, err := json.Marshal(saleNote{s.product(), uint64(s.deal.price), s.deal.uses, s.deal.bytes, s.deal.valid, s.deal.size, s.deal.tier})
	return string(b), err
}

// recall takes the terms on which the ecash was brought first, whatever is asked for today.
func (s *cashSale) recall(text string) error {
	var n saleNote
	if json.Unmarshal([]byte(text), &n) != nil || n.Product != s.product() {
		return errElsewhere
	}
	s.deal.quote = quote{price: lnwire.MilliSatoshi(n.Price), uses: n.Uses, bytes: n.Bytes, valid: n.Valid, size: n.Size, tier: max(n.Tier, s.handler.Tier)}
	return nil
}

// since is a token's id that tells when the payment began, for the search in the ledger.
func (s *cashSale) since() l402.TokenID {
	id, err := l402.NewTokenID(l402.KeyID{}, s.receipt.Time, bytes.NewReader(make([]byte, len(l402.TokenID{}))))
	if err != nil {
		return l402.TokenID{} // which searches everything
	}
	return id
}

// mint makes the token. It is the same for the same payment while the master key is.
func (s *cashSale) mint(keyID l402.KeyID, key *l402.MasterKey, secret []byte) (l402.TokenID, []byte, error) {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("token\x00" + s.receipt.ID))
	id, err := l402.NewTokenID(keyID, s.at, bytes.NewReader(mac.Sum(nil)))
	if err != nil {
		return id, nil, fmt.Errorf("making a token id: %w", err)
	}
	terms := s.handler.sold(s.bound, s.deal)
	terms.ValidUntil = s.at.Add(s.deal.valid)
	macaroon, err := l402.Mint(key, l402.Identifier{PaymentHash: s.hash, TokenID: id}, terms.Caveats())
	return id, macaroon, err
}
