package budget

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// bookVersion is the format's.
	bookVersion = 1
	// fineFor is how long payments are listed one by one. Later those of one host within a time
	// are summed up under the time of the last of them, which keeps them counted for
	// longer rather than shorter.
	fineFor = 2 * time.Hour
	coarse  = 15 * time.Minute
	// After oldAfter the parts are longer.
	oldAfter = 48 * time.Hour
	coarser  = 6 * time.Hour
)

// Book is an account of spending. It is not safe for concurrent use.
type Book struct {
	entries []entry
}

// entry is a payment, or what several of them cost.
type entry struct {
	Time       time.Time           `json:"time"`
	Network    wallets.Network     `json:"network"`
	Host       string              `json:"host"`
	AmountMsat lnwire.MilliSatoshi `json:"amount_msat"`
	// PaymentHash is empty for a sum.
	PaymentHash string `json:"payment_hash,omitempty"`
	// Open says that the payment's end is not known. It counts all the same.
	Open bool `json:"open,omitempty"`
}

// written is a Book as JSON.
type written struct {
	Version int     `json:"version"`
	Entries []entry `json:"entries"`
}

// ParseBook reads what Marshal wrote; nothing at all is an empty Book. Errors wrap ErrBook.
func ParseBook(data []byte) (*Book, error) {
	if len(data) == 0 {
		return new(Book), nil
	}
	var w written
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("%w: it is not one that was written by this program", ErrBook)
	}
	if w.Version != bookVersion {
		return nil, fmt.Errorf("%w: its version is %d, and this program reads version %d", ErrBook, w.Version, bookVersion)
	}
	for i, e := range w.Entries {
		if e.Time.IsZero() || e.Network == "" || e.AmountMsat > maxEntry {
			return nil, fmt.Errorf("%w: its entry %d is damaged", ErrBook, i+1)
		}
		if e.PaymentHash != "" {
			if _, err := lntypes.MakeHashFromStr(e.PaymentHash); err != nil {
				return nil, fmt.Errorf("%w: its entry %d is damaged", ErrBook, i+1)
			}
		}
	}
	return &Book{entries: w.Entries}, nil
}

// maxEntry keeps sums of entries far from overflowing.
const maxEntry = lnwire.MilliSatoshi(1 << 62)

// Marshal writes the Book as JSON.
func (b *Book) Marshal() ([]byte, error) {
	return json.Marshal(written{Version: bookVersion, Entries: append([]entry{}, b.entries...)})
}

// Spending is a payment that is about to be made.
type Spending struct {
	PaymentHash lntypes.Hash
	Network     wallets.Network
	// Host is who is paid, with a port where that is not the usual one.
	Host string
	// Price is the invoice's amount and MaxFee the most that routing may cost, in millisatoshi.
	Price, MaxFee lnwire.MilliSatoshi
}

// Reserve notes a payment if all rules allow it, and returns a *Refusal if one does not. A payment
// that is noted already, by its hash, is not noted again and always allowed: it is the same money.
func (b *Book) Reserve(rules []Rule, s Spending, now time.Time) error {
	hash := s.PaymentHash.String()
	if b.find(hash) >= 0 {
		return nil
	}
	b.prune(now)
	asked := s.Price + s.MaxFee
	if s.Price > maxEntry/2 || s.MaxFee > maxEntry/2 {
		return fmt.Errorf("%w: an amount that nobody has", ErrOverBudget)
	}
	for _, rule := range rules {
		if !rule.holds(s.Host) {
			continue
		}
		spent := b.spent(rule, s.Network, s.Host, now)
		if spent > rule.Amount || asked > rule.Amount-spent {
			return b.refusal(rule, s, spent, asked, now)
		}
	}
	b.entries = append(b.entries, entry{
		Time: now.UTC(), Network: s.Network, Host: s.Host, AmountMsat: asked, PaymentHash: hash, Open: true,
	})
	return nil
}

// Settle notes that a payment was made, and what it cost with its fee, in millisatoshi. One that is
// not in the Book stays out of it.
func (b *Book) Settle(hash lntypes.Hash, cost lnwire.MilliSatoshi) {
	if i := b.find(hash.String()); i >= 0 {
		b.entries[i].Open = false
		b.entries[i].AmountMsat = min(cost, b.entries[i].AmountMsat)
	}
}

// Release takes a payment out that failed for good, so that no money left.
func (b *Book) Release(hash lntypes.Hash) {
	if i := b.find(hash.String()); i >= 0 {
		b.entries = slices.Delete(b.entries, i, i+1)
	}
}

func (b *Book) find(hash string) int {
	return slices.IndexFunc(b.entries, func(e entry) bool { return e.PaymentHash == hash })
}

// Left is what a rule still allows.
type Left struct {
	Rule
	// Host is the host that is meant, also for a rule for each host; empty for all together.
	Host string
	// Spent and Left are in millisatoshi.
	Spent, Left lnwire.MilliSatoshi
}

// Left tells what the rules that hold for a host still allow on a network.
func (b *Book) Left(rules []Rule, network wallets.Network, host string, now time.Time) []Left {
	var all []Left
	for _, rule := range rules {
		if !rule.holds(host) {
			continue
		}
		l := Left{Rule: rule, Spent: b.spent(rule, network, host, now)}
		if rule.Host != "" || rule.EachHost {
			l.Host = host
		}
		if l.Spent < rule.Amount {
			l.Left = rule.Amount - l.Spent
		}
		all = append(all, l)
	}
	return all
}

// Hosts lists whom was paid on a network, in alphabetical order.
func (b *Book) Hosts(network wallets.Network) []string {
	var hosts []string
	for _, e := range b.entries {
		if e.Network == network {
			hosts = append(hosts, e.Host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// matches tells whether an entry counts against a rule for a payment. Entries that seem to come from
// the future count: the clock may have been set back.
func (e *entry) matches(rule Rule, network wallets.Network, host string, now time.Time) bool {
	return e.Network == network && rule.counts(e.Host, host) && now.Sub(e.Time) < rule.Window
}

func (b *Book) spent(rule Rule, network wallets.Network, host string, now time.Time) (sum lnwire.MilliSatoshi) {
	for i := range b.entries {
		if e := &b.entries[i]; e.matches(rule, network, host, now) {
			sum = min(sum+e.AmountMsat, maxEntry)
		}
	}
	return sum
}

// refusal says when enough of what was spent is out of the window.
func (b *Book) refusal(rule Rule, s Spending, spent, asked lnwire.MilliSatoshi, now time.Time) *Refusal {
	r := &Refusal{Limit: rule.Limit, Spent: spent, Asked: asked}
	if rule.Host != "" || rule.EachHost {
		r.Host = s.Host
	}
	if asked > rule.Amount {
		return r
	}
	var counted []entry
	for _, e := range b.entries {
		if e.matches(rule, s.Network, s.Host, now) {
			counted = append(counted, e)
		}
	}
	slices.SortFunc(counted, func(x, y entry) int { return x.Time.Compare(y.Time) })
	left := spent
	for _, e := range counted {
		r.FreeAt = e.Time.Add(rule.Window)
		if left -= min(e.AmountMsat, left); left <= rule.Amount-asked {
			break
		}
	}
	return r
}

// prune forgets what no rule can ask for and sums up what is older.
func (b *Book) prune(now time.Time) {
	type slot struct {
		network wallets.Network
		host    string
		part    time.Duration
		at      int64
	}
	sums := map[slot]int{}
	kept := b.entries[:0]
	for _, e := range b.entries {
		age := now.Sub(e.Time)
		if age > MaxWindow {
			continue
		}
		if e.Open || age < fineFor {
			kept = append(kept, e)
			continue
		}
		part := coarse
		if age >= oldAfter {
			part = coarser
		}
		key := slot{e.Network, e.Host, part, e.Time.Unix() / int64(part/time.Second)}
		at, known := sums[key]
		if !known {
			sums[key] = len(kept)
			e.PaymentHash = ""
			kept = append(kept, e)
			continue
		}
		kept[at].AmountMsat = min(kept[at].AmountMsat+e.AmountMsat, maxEntry)
		if e.Time.After(kept[at].Time) {
			kept[at].Time = e.Time
		}
	}
	clear(b.entries[len(kept):])
	b.entries = kept
}
