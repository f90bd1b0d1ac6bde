package localpurse

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// limboKind is where ecash is kept that was sent and of which it is not known whether it was taken.
const limboKind = "limbo"

// after is how long a step goes on though the caller has gone.
const after = 15 * time.Second

func keyOf(s Spec) string {
	sum := sha256.Sum256([]byte(s.Mint + "\x00" + s.Unit))
	return hex.EncodeToString(sum[:16])
}

// limbo is ecash on its way. The purse gives the same token again for its id.
type limbo struct {
	Mint  string `json:"mint"` // a keyOf
	Units uint64 `json:"units"`
}

func sendKey(id string) string { return "get " + id }

func (m *Mint) msat(amount uint64) lnwire.MilliSatoshi {
	if m.Spec.Unit == mint.UnitSat {
		amount *= 1000 // the amounts are those of real ecash
	}
	return lnwire.MilliSatoshi(amount)
}

// Quote implements client.Ecash.
func (m *Mint) Quote(ctx context.Context, r *token.Request) (*client.Cash, error) {
	const most = 1 << 50
	switch {
	case r.Unit != m.Spec.Unit:
		return nil, fmt.Errorf("%w: it asks for %.16q", client.ErrNoEcash, r.Unit)
	case r.Lock != nil:
		return nil, fmt.Errorf("%w: it asks for ecash that is locked", client.ErrNoEcash)
	case r.Amount == 0 || r.Amount > most:
		return nil, fmt.Errorf("%w: it names no amount", client.ErrNoEcash)
	}
	named := len(r.Mints) == 0
	for _, address := range r.Mints {
		named = named || token.SameMint(address, m.Spec.Mint)
	}
	if !named {
		return nil, fmt.Errorf("%w: it asks for ecash of other mints", client.ErrNoEcash)
	}
	p, err := m.ready(ctx)
	if err != nil {
		return nil, err
	}
	fee, err := p.FeeFor(ctx, r.Amount)
	if err != nil {
		return nil, err
	}
	if has := p.Balance().Available; has < r.Amount+fee {
		return nil, fmt.Errorf("%w: the purse has %d %s", client.ErrNoEcash, has, m.Spec.Unit)
	}
	return &client.Cash{Price: m.msat(r.Amount), Fee: m.msat(fee), Network: m.Spec.Network, Units: r.Amount + fee}, nil
}

// Send implements client.Ecash.
func (m *Mint) Send(ctx context.Context, c *client.Cash) (id, text string, err error) {
	p, err := m.Purse(ctx)
	if err != nil {
		return "", "", err
	}
	id = rand.Text()
	b, err := json.Marshal(limbo{keyOf(m.Spec), c.Units})
	if err == nil {
		err = m.folder.PutDurable(ctx, limboKind, id, b)
	}
	if err != nil {
		return "", "", err
	}
	t, err := p.Send(ctx, c.Units, sendKey(id))
	if err == nil {
		text, err = t.Encode()
	}
	if err != nil {
		if !errors.Is(err, purse.ErrUnsettled) && !errors.Is(err, purse.ErrStore) {
			err = errors.Join(err, m.folder.DeleteDurable(ctx, limboKind, id)) // nothing was begun
		}
		return "", "", err
	}
	return id, text, nil
}

// Taken implements client.Ecash.
func (m *Mint) Taken(ctx context.Context, id string) error {
	return m.folder.DeleteDurable(ctx, limboKind, id)
}

// TakeBack implements client.Ecash.
func (m *Mint) TakeBack(ctx context.Context, id string) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), after)
	defer cancel()
	p, err := m.Purse(ctx)
	if err != nil {
		return false, err
	}
	b, err := m.folder.GetDurable(ctx, limboKind, id)
	if err != nil {
		return false, err
	}
	return m.takeBack(ctx, p, id, b)
}

func (m *Mint) takeBack(ctx context.Context, p *purse.Purse, id string, value []byte) (taken bool, err error) {
	var l limbo
	if err := json.Unmarshal(value, &l); err != nil {
		return false, m.folder.fail("reading", errors.New("its record of ecash on its way is damaged"))
	}
	if l.Mint != keyOf(m.Spec) {
		return false, nil
	}
	t, err := p.Send(ctx, l.Units, sendKey(id))
	switch {
	case errors.Is(err, purse.ErrTooLittle):
		return false, m.folder.DeleteDurable(ctx, limboKind, id) // nothing was begun
	case err != nil:
		return false, fmt.Errorf("taking ecash back: %w", err)
	}
	_, err = p.Receive(ctx, t, purse.Terms{})
	if taken = errors.Is(err, purse.ErrSpent); err != nil && !taken {
		return false, fmt.Errorf("taking ecash back: %w", err)
	}
	return taken, m.folder.DeleteDurable(ctx, limboKind, id)
}

// takeBackAll takes back what earlier processes sent and nobody took. What cannot be had yet waits.
func (m *Mint) takeBackAll(ctx context.Context, p *purse.Purse) error {
	list, err := m.folder.ListDurable(ctx, limboKind)
	if err != nil {
		return err
	}
	for _, d := range list {
		if _, err := m.takeBack(ctx, p, d.ID, d.Value); errors.Is(err, ErrFolder) {
			return err
		}
	}
	return nil
}

// Receive implements client.Ecash.
func (m *Mint) Receive(ctx context.Context, text string) (lnwire.MilliSatoshi, error) {
	t, err := token.Parse(text)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), after)
	defer cancel()
	p, err := m.Purse(ctx)
	if err != nil {
		return 0, err
	}
	r, err := p.Receive(ctx, t, purse.Terms{})
	if err != nil {
		return 0, err
	}
	return m.msat(r.Amount), nil
}

// Interface guards.
var _ client.Ecash = (*Mint)(nil)
