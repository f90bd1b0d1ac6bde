package command

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// maxJSONBody bounds a body that is put into the JSON.
const maxJSONBody = 16 << 20

// output prints what get found.
type output struct {
	options     *getOptions
	stdout, err io.Writer
	// account is the book of spending, nil for none; network is the wallet's.
	account *budget.File
	network wallets.Network
}

// report is the result as JSON.
type report struct {
	URL     string      `json:"url"`
	Status  int         `json:"status,omitempty"`
	Headers http.Header `json:"headers,omitempty"`
	// Body is text where it is UTF-8; else BodyBase64 holds it.
	Body       *string  `json:"body,omitempty"`
	BodyBase64 []byte   `json:"body_base64,omitempty"`
	File       string   `json:"file,omitempty"`
	Paid       *payment `json:"paid,omitempty"`
	// Offer is what is asked for, where it was not paid.
	Offer *payment `json:"offer,omitempty"`
	// Budget is what limits still allow at the host, after this exchange.
	Budget []budgetLeft `json:"budget,omitempty"`
	// TokenSaved says that the paid token lies in the token file.
	TokenSaved bool `json:"token_saved"`
	// TokenReused says that a stored token was used.
	TokenReused bool `json:"token_reused"`
	// Authorization is the paid credential, only where it would be lost otherwise.
	Authorization string `json:"authorization,omitempty"`
	// Netrc is the token's line, with --netrc.
	Netrc string `json:"netrc,omitempty"`
	Error string `json:"error,omitempty"`
	// ErrorCode is the error's kind, one word.
	ErrorCode string `json:"error_code,omitempty"`
	ExitCode  int    `json:"exit_code"`
}

// payment is what was paid.
type payment struct {
	AmountMsat uint64 `json:"amount_msat"`
	// FeeMsat is absent where the wallet does not tell it.
	FeeMsat     *uint64         `json:"fee_msat,omitempty"`
	Network     wallets.Network `json:"network"`
	PaymentHash string          `json:"payment_hash,omitempty"`
	Opens       string          `json:"opens,omitempty"`
}

func (o *getOptions) newOutput(cmd *cobra.Command) (*output, error) {
	if o.output != "" {
		// A folder that is not there should be noticed before something is paid.
		if info, err := os.Stat(filepath.Dir(o.output)); err != nil || !info.IsDir() {
			return nil, usageError("--output: %s is not in a folder that exists", o.output)
		}
	}
	return &output{options: o, stdout: cmd.OutOrStdout(), err: cmd.ErrOrStderr()}, nil
}

func (p *output) say(format string, args ...any) {
	if !p.options.quiet {
		fmt.Fprintf(p.err, format+"\n", args...)
	}
}

// trace says what is paid, to whom and by whom.
func (p *output) trace(wallet string) client.Trace {
	return client.Trace{
		Offer: func(o *client.Offer) {
			d := o.Decoded
			p.say("price %s on %s; opens %q; paying through %s", pricing.Format(d.Amount), d.Network, o.Opens, wallet)
		},
		Paid: func(b *client.Purchase) {
			p.say("paid, payment hash %s", b.Decoded.PaymentHash)
		},
		Warn: func(message string) { fmt.Fprintf(p.err, "warning: %s\n", message) },
	}
}

// finish prints the answer or the error, and sees to it that what was paid for is not lost.
func (p *output) finish(ctx context.Context, result *client.Result, err error) error {
	resp := result.Response
	if err == nil && p.options.fail && resp.StatusCode >= http.StatusBadRequest {
		err = httpStatus(resp.StatusCode)
	}
	line, err := p.keepNetrc(ctx, result, err)
	if p.options.json {
		return p.finishJSON(result, line, err)
	}
	if line != "" {
		fmt.Fprintln(p.stdout, line)
	}
	if err == nil {
		err = p.printAnswer(resp)
	}
	if stranded(result, err) {
		fmt.Fprintf(p.err, "the token that was paid for was not kept (--token-file does that) and may still be good; "+
			"keep it to yourself:\nAuthorization: %s\n", result.Purchase.Authorization())
	}
	return err
}

// stranded tells whether a purchase would be lost without having brought anything.
func stranded(result *client.Result, err error) bool {
	failed := err != nil || result.Response == nil || result.Response.StatusCode >= http.StatusBadRequest
	return failed && result.Purchase != nil && (len(result.Purchase.Macaroon) > 0 || result.Purchase.Payment != nil) && !result.Saved
}

func (p *output) printAnswer(resp *http.Response) error {
	if p.options.include {
		fmt.Fprintf(p.stdout, "%s %s\r\n", resp.Proto, resp.Status)
		if err := resp.Header.Write(p.stdout); err != nil {
			return fmt.Errorf("printing the headers: %w", err)
		}
		fmt.Fprint(p.stdout, "\r\n")
	}
	if p.options.output != "" {
		return save(p.options.output, resp.Body)
	}
	if p.options.netrc != "" {
		return nil // the line is what was asked for
	}
	if _, err := io.Copy(p.stdout, resp.Body); err != nil {
		return fmt.Errorf("printing the body: %w", err)
	}
	return nil
}

// save writes a file that appears under its name when it is complete. What is no regular file, such
// as /dev/null or a pipe, is written to as it is.
func save(name string, body io.Reader) error {
	if err := saveTo(name, body); err != nil {
		return fmt.Errorf("writing the body: %w", err)
	}
	return nil
}

func saveTo(name string, body io.Reader) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, body)
		return errors.Join(err, file.Close())
	}
	temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text()+".part")
	// The user's umask decides who can read it, as for any download.
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

func (p *output) finishJSON(result *client.Result, line string, err error) error {
	r := report{TokenReused: result.Reused, TokenSaved: result.Saved, Netrc: line}
	if result.URL != nil {
		r.URL = result.URL.String()
	}
	if b := result.Purchase; b != nil {
		r.Paid = paymentOf(&b.Offer)
		if b.Fee != nil {
			fee := uint64(*b.Fee)
			r.Paid.FeeMsat = &fee
		}
	} else if result.Offer != nil && err != nil {
		r.Offer = paymentOf(result.Offer)
	} else if dear := (*client.PriceError)(nil); errors.As(err, &dear) {
		r.Offer = &payment{AmountMsat: uint64(dear.Price), Network: dear.Network}
	}
	left, leftErr := p.left(result, p.network)
	if r.Budget = left; err == nil {
		err = leftErr
	}
	if resp := result.Response; resp != nil {
		r.Status, r.Headers = resp.StatusCode, resp.Header
		if bodyErr := p.bodyInto(&r, resp); err == nil {
			err = bodyErr
		}
	}
	if stranded(result, err) {
		r.Authorization = result.Purchase.Authorization()
	}
	if err != nil {
		r.Error, r.ErrorCode, r.ExitCode = err.Error(), wordOf(err), codeOf(err)
	}
	encoder := json.NewEncoder(p.stdout)
	encoder.SetEscapeHTML(false)
	return errors.Join(err, encoder.Encode(r))
}

func paymentOf(o *client.Offer) *payment {
	return &payment{
		AmountMsat: uint64(o.Decoded.Amount), Network: o.Decoded.Network,
		PaymentHash: o.Decoded.PaymentHash.String(), Opens: o.Opens,
	}
}

func (p *output) bodyInto(r *report, resp *http.Response) error {
	if p.options.netrc != "" && p.options.output == "" {
		return nil
	}
	if p.options.output != "" && (!p.options.fail || resp.StatusCode < http.StatusBadRequest) {
		r.File = p.options.output
		return save(p.options.output, resp.Body)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxJSONBody+1))
	switch {
	case err != nil:
		return err
	case len(data) > maxJSONBody:
		return fmt.Errorf("reading the body: it has more than %d bytes; write it to a file with -o", maxJSONBody)
	case utf8.Valid(data):
		text := string(data)
		r.Body = &text
	default:
		r.BodyBase64 = data
	}
	return nil
}
