package l402

// Authenticate checks that a token was made with one of the keys, and whose payment it belongs to,
// but not what it grants: it may have expired, or be for another service. It is for questions about
// a payment rather than about a request, such as for its receipt.
//
// The refusals are those of Verify up to ErrBadSignature, returned bare. A credential without a
// preimage gives ErrPreimageMissing if everything else is right. The Identifier is the token's in
// these two cases, and zero after any other error. Concurrency is that of Verify.
func Authenticate(keys Keys, c *Credential) (Identifier, error) {
	t, err := open(c)
	if err != nil {
		return Identifier{}, err
	}
	key := keys.MasterKey(t.id.TokenID.KeyID())
	if key == nil {
		return Identifier{}, ErrUnknownKey
	}
	if err := c.echoed(key); err != nil {
		return Identifier{}, err
	}
	if err := t.prove(c); err != nil {
		return Identifier{}, err
	}
	root := RootKey(key, &t.id.TokenID)
	if !validSignature(&root, &t.layout) {
		return Identifier{}, ErrBadSignature
	}
	if !t.known {
		return t.id, ErrPreimageMissing
	}
	return t.id, nil
}
