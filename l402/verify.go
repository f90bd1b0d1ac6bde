package l402

import (
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Keys holds the master keys of a server. It is called once for each credential, by many requests
// at a time, and must answer from memory.
type Keys interface {
	// MasterKey returns the key with this id, or nil if there is none. The key is not changed
	// and not kept.
	MasterKey(id KeyID) *MasterKey
}

// Want is what a request needs a token to grant. It is not changed and can be shared.
type Want struct {
	// Service is the service that the request is for. No token opens the empty one.
	Service string
	// Tier is the tier that the token must have been granted, exactly.
	Tier uint8
	// Capabilities must all be granted.
	Capabilities []string

	// Host, Path and Request are what the request is for. A token that is bound to another
	// host, path or request is refused.
	Host, Path, Request string
	// SizedRequest says that a token must be bound to Request and sold for a size: the value of
	// its caveat is Request, "~" and the size, greater than zero, which Grant.Size tells. Tokens
	// without a size are refused then, and tokens with one otherwise.
	SizedRequest bool
	// RequireHost, RequirePath and RequireRequest refuse a token that is not bound at all.
	//
	// NOTE: A binding counts for these, and for RequirePrice, only if it stands before all
	// caveats that limit the token, where Mint writes it: otherwise a holder could bind a
	// token that was sold without a binding to whatever he likes. A token without any limit
	// has no such fence, so what a service sells must not differ by bindings alone.
	RequireHost, RequirePath, RequireRequest bool

	// Price is the price of the request in millisatoshi. It is compared only if RequirePrice
	// is set: then the token must have been sold at exactly this price, and none will do if
	// the price is zero. Otherwise a token goes on to be good when prices change.
	Price lnwire.MilliSatoshi
	// RequirePrice says that the price depends on the request.
	RequirePrice bool

	// Now is the Unix time in seconds. Zero or less means the system's clock.
	Now int64
	// SkipUnknown lets caveats pass that are not known, as the L402 specification has it.
	SkipUnknown bool
}

// Grant is what a verified token grants.
type Grant struct {
	// PaymentHash is the payment hash of the invoice that buys the token. Everything that is
	// remembered about a payment is remembered by it.
	PaymentHash lntypes.Hash
	// TokenID is the token's id. Several tokens may share a payment hash.
	TokenID TokenID
	// Service is the service, as in Want.
	Service string
	// Tier is the tier, as in Want.
	Tier uint8
	// ValidUntil is the Unix time in seconds at which the token ends; 0 means never.
	ValidUntil int64
	// SoldUntil is the end of life that the token was sold with, however much shorter a holder
	// made it since; 0 means never.
	SoldUntil int64
	// Uses is how often the token can be used; 0 means without limit.
	Uses uint64
	// Bytes is how many bytes the token buys; 0 means without limit.
	Bytes uint64
	// Price is the price in millisatoshi that the token was sold at; 0 means that it does not
	// say. What a holder added does not count: see the note at Want.RequireHost.
	Price lnwire.MilliSatoshi
	// Size is the size that the token was sold for where Want.SizedRequest asked for one.
	Size uint64
	// PreimageKnown says that the credential holds the preimage of the payment hash.
	PreimageKnown bool
	// ChallengeID is the id of the challenge that a credential of the Payment scheme echoes; it
	// is empty for all other forms.
	ChallengeID string
	// Paid says that the payment is proven. Verify sets it together with PreimageKnown. A
	// caller that learned of the payment from the wallet may set it alone.
	Paid bool
}

// Verify checks a credential against what is wanted and fills g. Refusals, cheapest first: the
// token's length and layout, its version, its key, the challenge that a credential of the Payment
// scheme echoes, the preimage, the signature, the caveats. They are the errors of this package and
// payment.ErrInvalidChallenge, returned bare.
//
// A credential without a preimage gives ErrPreimageMissing if everything else is right, and the
// Grant is then filled with Paid false. After any other error the Grant is zero.
//
// Verify knows no revocations and counts no uses. Neither c nor w is changed or kept; Verify touches
// no other memory, allocates nothing and may be called by many goroutines, each with a credential
// of its own.
func Verify(keys Keys, c *Credential, w *Want, g *Grant) error {
	*g = Grant{}
	t, err := open(c)
	if err != nil {
		return err
	}
	key := keys.MasterKey(t.id.TokenID.KeyID())
	if key == nil {
		return ErrUnknownKey
	}
	if err := c.echoed(key); err != nil {
		return err
	}
	if err := t.prove(c); err != nil {
		return err
	}
	root := RootKey(key, &t.id.TokenID)
	if err := t.judge(&root, w, g); err != nil || c.echo == nil {
		return err
	}
	g.ChallengeID = c.echo.ID
	return nil
}

// opened is a token on its way through Verify.
type opened struct {
	layout
	id       Identifier
	preimage lntypes.Preimage
	known    bool // preimage is known and is the one of the payment hash
}

// open takes the token apart.
func open(c *Credential) (t opened, err error) {
	if t.layout, err = parseLayout(c.Macaroon()); err != nil {
		return opened{}, err
	}
	if t.id, err = ParseIdentifier(t.identifier); err != nil {
		return opened{}, err
	}
	return t, nil
}

// prove checks the preimage, if there is one, against the payment hash.
func (t *opened) prove(c *Credential) error {
	t.preimage, t.known = c.Preimage, c.HasPreimage
	if !t.known {
		t.known = findPreimage(t.caveats, &t.preimage)
	}
	if !t.known {
		return nil
	}
	hash := sha256.Sum256(t.preimage[:])
	if subtle.ConstantTimeCompare(hash[:], t.id.PaymentHash[:]) != 1 {
		return ErrPreimageMismatch
	}
	return nil
}

// judge checks signature and caveats and fills g.
func (t *opened) judge(root *[32]byte, w *Want, g *Grant) error {
	if !validSignature(root, &t.layout) {
		return ErrBadSignature
	}
	now := w.Now
	if now <= 0 {
		now = time.Now().Unix()
	}
	check := caveatCheck{want: w, known: t.known, preimage: t.preimage, caveats: t.caveats}
	if err := check.all(); err != nil {
		return err
	}
	if err := check.verdict(now); err != nil {
		return err
	}
	*g = Grant{
		PaymentHash:   t.id.PaymentHash,
		TokenID:       t.id.TokenID,
		Service:       w.Service,
		Tier:          w.Tier,
		ValidUntil:    int64(check.validUntil.least),
		SoldUntil:     int64(check.validUntil.first),
		Uses:          check.uses.least,
		Bytes:         check.bytes.least,
		PreimageKnown: t.known,
		Paid:          t.known,
	}
	if w.SizedRequest {
		g.Size, _ = check.size()
	}
	if check.price.sold { // a holder can write any other
		g.Price = lnwire.MilliSatoshi(check.price.number)
	}
	if !t.known {
		return ErrPreimageMissing
	}
	return nil
}

// validSignature computes the macaroon's chain of HMACs and compares its end with the signature.
func validSignature(root *[32]byte, l *layout) bool {
	var sig [32]byte
	hmacSHA256(&sig, &macaroonKeyGenerator, root[:])
	hmacSHA256(&sig, &sig, l.identifier)
	for rest := l.caveats; len(rest) > 0; {
		var caveat []byte
		caveat, rest = nextCaveat(rest)
		hmacSHA256(&sig, &sig, caveat)
	}
	return subtle.ConstantTimeCompare(sig[:], l.signature) == 1
}

// findPreimage finds the first well-formed preimage among the caveats. Malformed and further ones
// are left to caveatCheck, which looks at the caveats once their signature is known to be good.
func findPreimage(caveats []byte, preimage *lntypes.Preimage) bool {
	for rest := caveats; len(rest) > 0; {
		var caveat []byte
		caveat, rest = nextCaveat(rest)
		condition, value, found := cut(caveat, '=')
		if found && string(trim(condition)) == ConditionPreimage && decodePreimage(preimage, trim(value)) {
			return true
		}
	}
	return false
}
