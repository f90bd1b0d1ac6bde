package command

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/spf13/pflag"

	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// maxData bounds the body of a request, which is kept in memory to be sent twice.
const maxData = 64 << 20

// getOptions are the flags of get.
type getOptions struct {
	max, fee             string
	wallet, walletFile   string
	admin                string
	tokenFile, netrc     string
	budgets, hostBudgets []string
	spendingFile         string
	method, data, output string
	headers              []string
	caCert               string
	include, json, fail  bool
	quiet                bool
	timeout              time.Duration
	redirects            int
	set                  *pflag.FlagSet
	maxPrice, maxFee     lnwire.MilliSatoshi
}

func (o *getOptions) flags(f *pflag.FlagSet) {
	o.set = f
	f.StringVar(&o.max, "max", "100 sat", "Greatest price, an `amount` in sat, msat or btc; a number alone is sat")
	f.StringVar(&o.fee, "max-fee", "10 sat", "Greatest routing fee that comes on top, an `amount`")
	f.StringArrayVar(&o.budgets, "budget", nil, "Greatest `amount` in a time, such as 1000sat/day; can be repeated")
	f.StringArrayVar(&o.hostBudgets, "host-budget", nil, "The same for each host, or for one: `limit` 200sat/day or example.com=200sat/day")
	f.StringVar(&o.spendingFile, "spending-file", "", "The `file` that keeps account of what was spent")
	f.StringVarP(&o.wallet, "wallet", "w", "", "The `wallet` that pays, without secrets")
	f.StringVar(&o.walletFile, "wallet-file", "", "A `file` that names the wallet, with secrets or without")
	f.StringVar(&o.admin, "admin", caddy.DefaultAdminListen, "The admin API's `address` of the Caddy whose sandbox pays")
	f.StringVarP(&o.tokenFile, "token-file", "t", "", "A `file` that keeps tokens to be used again")
	f.StringVar(&o.netrc, "netrc", "", "Print the token's line for a netrc in place of the body, or put it into a `file` (--netrc=<file>)")
	f.Lookup("netrc").NoOptDefVal = netrcPrinted
	f.StringVarP(&o.method, "request", "X", "", "The `method`; GET, or POST with --data")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "A header `line` to send; can be repeated")
	f.StringVarP(&o.data, "data", "d", "", "The body to send: `text`, or @ and a file, or @- for the standard input")
	f.StringVarP(&o.output, "output", "o", "", "Write the body to a `file`, which appears when it is complete")
	f.BoolVarP(&o.include, "include", "i", false, "Print the answer's status and headers before the body")
	f.BoolVar(&o.json, "json", false, "Print the result as JSON, with the body in it unless -o is given")
	f.BoolVarP(&o.fail, "fail", "f", false, "Exit with code 22, without printing the body, if the status is 400 or more")
	f.BoolVarP(&o.quiet, "silent", "s", false, "Print neither price nor payment on the standard error")
	f.StringVar(&o.caCert, "cacert", "", "A PEM `file` with authorities to trust besides the system's")
	f.DurationVar(&o.timeout, "timeout", client.DefaultTimeout, "The longest `time` that a step may take: an answer, the payment, the next bytes")
	f.IntVar(&o.redirects, "max-redirects", 10, "How many redirects to follow; 0 makes a redirect the answer")
}

// adminSet tells whether --admin was given.
func (o *getOptions) adminSet() bool { return o.set != nil && o.set.Changed("admin") }

// request reads the arguments and checks the flags.
func (o *getOptions) request(args []string, stdin io.Reader) (*client.Request, error) {
	if len(args) != 1 {
		return nil, usageError("name one URL, not %d", len(args))
	}
	target, err := url.Parse(args[0])
	if err != nil || target.Host == "" {
		return nil, usageError("%q is not a URL such as https://example.com/premium/a", args[0])
	}
	if o.maxPrice, err = amount("--max", o.max); err != nil {
		return nil, err
	}
	if o.maxFee, err = amount("--max-fee", o.fee); err != nil {
		return nil, err
	}
	switch {
	case o.timeout <= 0:
		return nil, usageError("--timeout %s: it must be more than zero", o.timeout)
	case o.redirects < 0:
		return nil, usageError("--max-redirects %d: it must not be negative", o.redirects)
	case o.json && o.include:
		return nil, usageError("--json and --include are both given: the JSON holds the headers")
	case o.netrc != "" && o.include:
		return nil, usageError("--netrc and --include are both given: the line stands in the place of the answer")
	}
	if err := o.checkNetrc(target.Hostname()); err != nil {
		return nil, err
	}
	request := &client.Request{Method: o.method, URL: target, Header: http.Header{}}
	for _, line := range o.headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, usageError("--header: it must have the form 'Name: value'")
		}
		request.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if o.set == nil || !o.set.Changed("data") {
		return request, nil
	}
	if request.Body, err = body(o.data, stdin); err != nil {
		return nil, usageError("--data: %v", err)
	}
	if request.Method == "" {
		request.Method = http.MethodPost
	}
	if request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return request, nil
}

// amount reads an amount; a number alone counts satoshi, and zero means nothing at all.
func amount(flag, text string) (lnwire.MilliSatoshi, error) {
	text = strings.TrimSpace(text)
	if strings.Trim(text, "0123456789.,") == "" {
		text += " sat"
	}
	if number, unit, _ := strings.Cut(text, " "); number == "0" && unit != "" {
		return 0, nil
	}
	value, err := pricing.ParseText(text)
	if err != nil {
		return 0, usageError("%s: %v", flag, err)
	}
	return value, nil
}

// body reads what is to be sent.
func body(data string, stdin io.Reader) ([]byte, error) {
	name, isFile := strings.CutPrefix(data, "@")
	switch {
	case !isFile:
		return []byte(data), nil
	case name == "-":
		return readAll(stdin, maxData)
	}
	return readSmall(name, maxData)
}

// readSmall reads a file of at most limit bytes.
func readSmall(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(file, limit)
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return data, err
}
