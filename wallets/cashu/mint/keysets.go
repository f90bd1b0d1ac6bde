package mint

import (
	"context"
	"fmt"
	"math/bits"
	"net/url"
	"slices"
	"sort"
	"strconv"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// maxKeysets and maxKeys bound what a mint may publish.
const (
	maxKeysets = 2048
	maxKeys    = 256
)

// Keyset is a set of keys of the mint (NUT-02).
type Keyset struct {
	// ID names it.
	ID ecash.KeysetID
	// Unit is what the amounts are of, such as sat or msat.
	Unit string
	// Active says that the mint signs with it. Proofs of others can still be spent.
	Active bool
	// InputFeePPK is what the mint takes for each proof that is spent, in thousandths of Unit.
	InputFeePPK uint64
	// FinalExpiry is when the mint may forget it, in seconds since 1970; zero is never.
	FinalExpiry uint64
	// Keys are the public keys by amount. They are nil in lists.
	Keys ecash.Keys
}

type keysetJSON struct {
	ID          string            `json:"id"`
	Unit        string            `json:"unit"`
	Active      *bool             `json:"active"`
	InputFeePPK *uint64           `json:"input_fee_ppk"`
	FinalExpiry *uint64           `json:"final_expiry"`
	Keys        map[string]string `json:"keys"`
}

type keysetsJSON struct {
	Keysets []keysetJSON `json:"keysets"`
}

// Keysets lists the mint's keysets, without their keys, by id. The list is cached for
// Config.KeysetAge; where it cannot be renewed, an older one is better than none and is used until a
// call fails for it.
func (c *Client) Keysets(ctx context.Context) ([]Keyset, error) {
	if err := c.freshen(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Keyset, 0, len(c.keysets))
	for _, k := range c.keysets {
		listed := *k
		listed.Keys = nil
		out = append(out, listed)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

func (c *Client) freshen(ctx context.Context) error {
	c.mu.Lock()
	now := c.cfg.Now()
	known, age, failed := len(c.keysets) > 0, now.Sub(c.listed), now.Sub(c.failed)
	c.mu.Unlock()
	// A mint that does not answer must not hold up everybody who could do with the older list.
	if known && (age < c.cfg.KeysetAge || failed < minRefresh) {
		return nil
	}
	err := c.Refresh(ctx)
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = c.cfg.Now()
	if !known {
		return err
	}
	return nil
}

// Refresh reads the list of keysets now. Callers at the same time share one request.
func (c *Client) Refresh(ctx context.Context) error {
	done := c.asking.DoChan("keysets", func() (any, error) {
		// One caller that gives up must not end it for the others; the client's time-out does.
		return nil, c.refresh(context.WithoutCancel(ctx))
	})
	select {
	case r := <-done:
		return r.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) refresh(ctx context.Context) error {
	var answer keysetsJSON
	if err := c.get(ctx, "v1/keysets", &answer); err != nil {
		return fmt.Errorf("listing keysets at %s: %w", c.url, err)
	}
	if len(answer.Keysets) > maxKeysets {
		return fmt.Errorf("listing keysets at %s: %w", c.url, cheated("%d keysets", len(answer.Keysets)))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	next := make(map[ecash.KeysetID]*Keyset, len(answer.Keysets))
	for _, raw := range answer.Keysets {
		k, err := raw.keyset()
		if err != nil || k.ID.IsShort() {
			continue // an id of before NUT-02, or of a version to come
		}
		if _, twice := next[k.ID]; twice {
			return fmt.Errorf("listing keysets at %s: %w", c.url, cheated("keyset %s is listed twice", k.ID))
		}
		if old := c.keysets[k.ID]; old != nil {
			if old.Unit != k.Unit {
				return fmt.Errorf("listing keysets at %s: %w", c.url,
					cheated("keyset %s was of %q and is of %q", k.ID, old.Unit, k.Unit))
			}
			if old.InputFeePPK == k.InputFeePPK && old.FinalExpiry == k.FinalExpiry || k.ID.Version() == 1 {
				k.Keys = old.Keys
			}
		}
		next[k.ID] = k
	}
	c.keysets, c.listed = next, c.cfg.Now()
	return nil
}

func (raw keysetJSON) keyset() (*Keyset, error) {
	id, err := ecash.ParseKeysetID(raw.ID)
	if err != nil {
		return nil, err
	}
	k := &Keyset{ID: id, Unit: raw.Unit, Active: raw.Active == nil || *raw.Active}
	if raw.InputFeePPK != nil {
		k.InputFeePPK = *raw.InputFeePPK
	}
	if raw.FinalExpiry != nil {
		k.FinalExpiry = *raw.FinalExpiry
	}
	return k, nil
}

// find finds a keyset in the list, which is renewed where the keyset is missing.
func (c *Client) find(ctx context.Context, id ecash.KeysetID) (Keyset, error) {
	if err := c.freshen(ctx); err != nil {
		return Keyset{}, err
	}
	for try := 0; ; try++ {
		c.mu.Lock()
		var found Keyset
		k, age := c.keysets[id], c.cfg.Now().Sub(c.listed)
		if k != nil {
			found = *k // fetchKeys may add to it
		}
		c.mu.Unlock()
		switch {
		case k != nil:
			return found, nil
		case try > 0 || age < minRefresh:
			return Keyset{}, fmt.Errorf("%w: %s has no %s", ecash.ErrUnknownKeyset, c.url, id)
		}
		if err := c.Refresh(ctx); err != nil {
			return Keyset{}, err
		}
	}
}

// Keyset gives a keyset with its keys, which were checked against its id. Errors wrap
// ecash.ErrUnknownKeyset, or ErrCheated where the keys do not fit.
func (c *Client) Keyset(ctx context.Context, id ecash.KeysetID) (Keyset, error) {
	k, err := c.find(ctx, id)
	if err != nil || k.Keys != nil {
		return k, err
	}
	done := c.asking.DoChan("keys "+string(id), func() (any, error) {
		return c.fetchKeys(context.WithoutCancel(ctx), k)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return Keyset{}, r.Err
		}
		k.Keys = r.Val.(ecash.Keys)
		return k, nil
	case <-ctx.Done():
		return Keyset{}, ctx.Err()
	}
}

func (c *Client) fetchKeys(ctx context.Context, k Keyset) (ecash.Keys, error) {
	var answer keysetsJSON
	if err := c.get(ctx, "v1/keys/"+url.PathEscape(string(k.ID)), &answer); err != nil {
		return nil, fmt.Errorf("reading keys at %s: %w", c.url, err)
	}
	i := slices.IndexFunc(answer.Keysets, func(raw keysetJSON) bool { return raw.ID == string(k.ID) })
	if i < 0 {
		return nil, fmt.Errorf("reading keys at %s: %w", c.url, cheated("it lacks keyset %s", k.ID))
	}
	raw := answer.Keysets[i]
	if raw.Unit != "" && raw.Unit != k.Unit {
		return nil, fmt.Errorf("reading keys at %s: %w", c.url, cheated("keyset %s is of two units", k.ID))
	}
	keys, err := parseKeys(raw.Keys)
	if err == nil {
		err = keys.Verify(k.ID, k.Unit, k.InputFeePPK, k.FinalExpiry)
	}
	if err != nil {
		return nil, fmt.Errorf("reading keys at %s: %w", c.url, cheated("%v", err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.keysets[k.ID]; now != nil {
		now.Keys = keys
	}
	return keys, nil
}

func parseKeys(raw map[string]string) (ecash.Keys, error) {
	if len(raw) > maxKeys {
		return nil, fmt.Errorf("%d keys", len(raw))
	}
	keys := make(ecash.Keys, len(raw))
	for text, hexKey := range raw {
		amount, err := strconv.ParseUint(text, 10, 64)
		if err != nil || amount == 0 || strconv.FormatUint(amount, 10) != text {
			return nil, fmt.Errorf("a key for an impossible amount")
		}
		if keys[amount], err = ecash.ParsePublicKeyHex(hexKey); err != nil {
			return nil, fmt.Errorf("the key for %d: %w", amount, err)
		}
	}
	return keys, nil
}

// Active gives the keyset to ask for new ecash of a unit, with its keys: the active one with the
// lowest fee and, among those, the newest version. Errors wrap ErrNoKeyset.
func (c *Client) Active(ctx context.Context, unit string) (Keyset, error) {
	list, err := c.Keysets(ctx)
	if err != nil {
		return Keyset{}, err
	}
	now := uint64(max(0, c.cfg.Now().Unix()))
	var best *Keyset
	for i := range list {
		k := &list[i]
		if k.Unit != unit || !k.Active || k.FinalExpiry != 0 && k.FinalExpiry <= now {
			continue
		}
		if best == nil || k.InputFeePPK < best.InputFeePPK ||
			k.InputFeePPK == best.InputFeePPK && k.ID.Version() > best.ID.Version() {
			best = k
		}
	}
	if best == nil {
		return Keyset{}, fmt.Errorf("%w: %s at %s", ErrNoKeyset, unit, c.url)
	}
	return c.Keyset(ctx, best.ID)
}

// Resolve makes the keyset ids of a token full, and checks that they are of this mint and of the
// unit. Errors wrap ecash.ErrUnknownKeyset, ecash.ErrAmbiguous or ErrUnit.
func (c *Client) Resolve(ctx context.Context, t *token.Token, unit string) error {
	for try := 0; ; try++ {
		list, err := c.Keysets(ctx)
		if err != nil {
			return err
		}
		ids := make([]ecash.KeysetID, len(list))
		units := make(map[ecash.KeysetID]string, len(list))
		for i, k := range list {
			ids[i], units[k.ID] = k.ID, k.Unit
		}
		if err = t.Resolve(ids); err == nil {
			for _, p := range t.Proofs {
				if units[p.KeysetID] != unit {
					return fmt.Errorf("%w: %q where %q is needed", ErrUnit, units[p.KeysetID], unit)
				}
			}
			return nil
		}
		c.mu.Lock()
		age := c.cfg.Now().Sub(c.listed)
		c.mu.Unlock()
		if try > 0 || age < minRefresh {
			return err
		}
		if err := c.Refresh(ctx); err != nil {
			return err
		}
	}
}

// Fee is what the mint takes for spending these proofs, in their unit: the sum of their keysets'
// fees, rounded up (NUT-02). Errors wrap ecash.ErrUnknownKeyset or token.ErrAmount.
func (c *Client) Fee(ctx context.Context, proofs []token.Proof) (uint64, error) {
	var sum uint64
	ppk := make(map[ecash.KeysetID]uint64)
	for _, p := range proofs {
		fee, ok := ppk[p.KeysetID]
		if !ok {
			k, err := c.find(ctx, p.KeysetID)
			if err != nil {
				return 0, err
			}
			fee = k.InputFeePPK
			ppk[p.KeysetID] = fee
		}
		next, carry := bits.Add64(sum, fee, 0)
		if carry != 0 {
			return 0, fmt.Errorf("%w: the fee is beyond 64 bits", token.ErrAmount)
		}
		sum = next
	}
	fee := sum / 1000
	if sum%1000 != 0 {
		fee++
	}
	return fee, nil
}
