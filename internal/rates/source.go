package rates

import (
	"context"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/fetch"
)

// MaxSources bounds how many sources a Market has.
const MaxSources = 16

// Source is a web server that tells what a bitcoin costs.
type Source struct {
	// Name is what logs and errors call it.
	Name string
	// URL is the address of a JSON document; {CUR} and {cur} stand for the currency's code.
	URL string
	// Path leads to the price of one bitcoin in the document.
	Path Path
	// TimePath leads to the time of the price in seconds since 1970, if the document has it; a
	// price that is too old is then left out even where the server answers.
	TimePath Path
	// Currency is the only one that the source is for. It is empty where URL or Path depend on
	// the currency, and needed where neither does.
	Currency Currency
}

// presets are public servers with their documented answers, all of which need no account.
var presets = []Source{
	// {"data":{"amount":"67187.33","base":"BTC","currency":"USD"}}
	{Name: "coinbase", URL: "https://api.coinbase.com/v2/prices/BTC-{CUR}/spot", Path: "data.amount"},
	// {"error":[],"result":{"XXBTZUSD":{"c":["67187.33","0.01"],…}}}: the last trade. The name of
	// the pair in the answer differs from the one asked for.
	{Name: "kraken", URL: "https://api.kraken.com/0/public/Ticker?pair=XBT{CUR}", Path: "result.*.c.0"},
	// {"last":"67187.33","timestamp":"1711356300",…}
	{Name: "bitstamp", URL: "https://www.bitstamp.net/api/v2/ticker/btc{cur}/", Path: "last", TimePath: "timestamp"},
	// {"bitcoin":{"usd":67187.33,"last_updated_at":1711356300}}
	{Name: "coingecko", URL: "https://api.coingecko.com/api/v3/simple/price?ids=bitcoin&vs_currencies={cur}" +
		"&include_last_updated_at=true", Path: "bitcoin.{cur}", TimePath: "bitcoin.last_updated_at"},
	// {"time":1711356300,"USD":67187,"EUR":61890,…}. Updated about once an hour, hence not among
	// the default sources.
	{Name: "mempool.space", URL: "https://mempool.space/api/v1/prices", Path: "{CUR}", TimePath: "time"},
	// {"USD":{"15m":67187.33,"last":67187.33,"buy":…,"sell":…,"symbol":"USD"},…}
	{Name: "blockchain.info", URL: "https://blockchain.info/ticker", Path: "{CUR}.last"},
}

// Preset finds a public source by its name.
func Preset(name string) (Source, bool) {
	i := slices.IndexFunc(presets, func(s Source) bool { return s.Name == name })
	if i < 0 {
		return Source{}, false
	}
	return presets[i], true
}

// PresetNames are the names that Preset knows.
func PresetNames() []string {
	names := make([]string, len(presets))
	for i, s := range presets {
		names[i] = s.Name
	}
	return names
}

// DefaultSources are those of a configuration that names none: several that are independent of each
// other, all of which update their prices within a minute or so.
func DefaultSources() []Source { return slices.Clone(presets[:4]) }

// Check refuses settings that cannot work. Errors wrap ErrSource, or ErrCurrency, and do not repeat
// the address.
func (s Source) Check() error {
	if s.Name == "" || len(s.Name) > 64 || strings.ContainsFunc(s.Name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%w: %q is not a name", ErrSource, s.Name)
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("%w %s: %w", ErrSource, s.Name, err)
	}
	return nil
}

func (s Source) check() error {
	u, err := fetch.ParseAddress("the address", Currency("USD").fill(s.URL))
	if err != nil {
		return err
	}
	if u.Scheme == "http" && !isNear(u) {
		return fmt.Errorf("the address must begin with https://: over http:// anyone on the way could set the price")
	}
	if err := s.Path.check(); err != nil {
		return err
	}
	if s.TimePath != "" {
		if err := s.TimePath.check(); err != nil {
			return err
		}
	}
	if s.Currency != "" {
		_, err := ParseCurrency(string(s.Currency))
		return err
	}
	if where := s.URL + string(s.Path); !strings.Contains(where, "{CUR}") && !strings.Contains(where, "{cur}") {
		return fmt.Errorf("neither the address nor the JSON path holds {CUR} or {cur}: name the currency that the source is for")
	}
	return nil
}

// isNear tells whether a host is on this machine or in a private network.
func isNear(u *url.URL) bool {
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".internal")
}

// serves tells whether the source is for a currency.
func (s Source) serves(c Currency) bool { return s.Currency == "" || s.Currency == c }

// quote is what one source said.
type quote struct {
	source string
	perBTC *big.Rat
	at     time.Time
}

// The bounds of a rate: what is beyond them is no price of a bitcoin in any currency.
var (
	minRate = big.NewRat(1, 1_000_000)
	maxRate = new(big.Rat).SetInt64(1_000_000_000_000_000)
)

// ask gets the source's rate of a currency.
func (s Source) ask(ctx context.Context, client *fetch.Client, c Currency, now func() time.Time) (quote, error) {
	content, err := client.Get(ctx, c.fill(s.URL))
	if err != nil {
		return quote{}, err
	}
	q, err := s.read(content, c, now())
	if err != nil {
		return quote{}, fmt.Errorf("%w %s: %w", ErrSource, s.Name, err)
	}
	return q, nil
}

// read finds the rate in a source's answer.
func (s Source) read(content []byte, c Currency, now time.Time) (quote, error) {
	doc, err := document(content)
	if err != nil {
		return quote{}, err
	}
	text, err := Path(c.fill(string(s.Path))).find(doc)
	if err != nil {
		return quote{}, err
	}
	q := quote{source: s.Name, at: now}
	if q.perBTC, err = parseDecimal(text, true); err != nil {
		return quote{}, fmt.Errorf("the price is no decimal number")
	}
	if q.perBTC.Cmp(minRate) < 0 || q.perBTC.Cmp(maxRate) > 0 {
		return quote{}, fmt.Errorf("the price is out of all bounds")
	}
	if s.TimePath != "" {
		if text, err = Path(c.fill(string(s.TimePath))).find(doc); err != nil {
			return quote{}, err
		}
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds < 0 || seconds > 1<<40 {
			return quote{}, fmt.Errorf("the time of the price is not a number of seconds")
		}
		q.at = time.Unix(seconds, 0)
	}
	return q, nil
}
