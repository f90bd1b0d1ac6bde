package command

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/adminapi"
	"github.com/caddy-l402/caddy-l402/l402"
)

// The kinds of revocations.
const (
	kindToken   = "token"
	kindPayment = "payment"
	kindService = "service"
)

func revokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke [--kind token|payment|service] [--undo] " + adminUsage + " [--json] <token-id|payment-hash|service>",
		Short: "Makes tokens invalid that were sold",
		Long: `
Revokes, through the admin API of a running Caddy,

  a token     by its id: this token and whatever a holder made of it
  a payment   by its payment hash: all tokens that were sold for it
  a service   by its name: all its tokens that exist now; later ones are good

64 hex digits mean a payment or a token; which of them is looked up, and where nothing
is known of the number, both are revoked. Anything else is the name of a service, which
must be one that the running configuration sells unless --kind says so.

It holds at once on this instance of Caddy, and within seconds on all others that share
its storage. Who bought a revoked token gets a new challenge. --undo takes revocations
back.`,
		Example: `  caddy l402 revoke 5f0c…e1
  caddy l402 revoke premium
  caddy l402 revoke --undo premium`,
	}
	var admin adminFlags
	admin.add(cmd.Flags())
	kind := cmd.Flags().String("kind", "", "What to revoke: `token`, payment or service")
	undo := cmd.Flags().Bool("undo", false, "Take revocations back")
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	prepare(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError("name one token id, payment hash or service, not %d", len(args))
		}
		r, err := newRevocation(args[0], *kind, *undo)
		if err != nil {
			return err
		}
		if r.api, err = admin.client(); err != nil {
			return err
		}
		if err := r.run(ctx); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), r)
		}
		return r.print(cmd.OutOrStdout())
	})
	return cmd
}

// revocation is what the command does, and its result as JSON.
type revocation struct {
	Kinds []string `json:"kinds"`
	Value string   `json:"value"`
	Undo  bool     `json:"undo"`
	// Known says that the number is that of a recorded payment.
	Known   bool `json:"known"`
	Removed int  `json:"removed,omitempty"`

	api *adminapi.Client
}

// newRevocation reads the arguments. No kind is left where it has to be looked up.
func newRevocation(value, kind string, undo bool) (*revocation, error) {
	r := &revocation{Value: value, Undo: undo}
	raw, err := hex.DecodeString(value)
	isID := err == nil && len(raw) == 32
	switch kind {
	case "":
		if !isID {
			r.Kinds = []string{kindService}
		}
	case kindToken, kindPayment:
		if !isID {
			return nil, usageError("%q is no token id or payment hash: use 64 hex digits", value)
		}
		r.Kinds = []string{kind}
	case kindService:
		r.Kinds, r.Known = []string{kindService}, true
	default:
		return nil, usageError("--kind %q: use token, payment or service", kind)
	}
	if len(r.Kinds) > 0 && r.Kinds[0] == kindService {
		if !l402.ValidServiceName(value) {
			return nil, usageError("%q is no token id or payment hash, which have 64 hex digits, and no name of a service", value)
		}
		return r, nil
	}
	r.Value = strings.ToLower(value)
	return r, nil
}

func (r *revocation) run(ctx context.Context) error {
	switch {
	case r.Undo && len(r.Kinds) == 0:
		r.Kinds = []string{kindToken, kindPayment} // whichever of them there is
	case len(r.Kinds) == 0:
		if err := r.lookUp(ctx); err != nil {
			return err
		}
	case !r.Undo && r.Kinds[0] == kindService && !r.Known:
		if err := r.checkService(ctx); err != nil {
			return err
		}
	}
	for _, kind := range r.Kinds {
		var answer struct {
			Removed int `json:"removed"`
		}
		in := map[string]any{"kind": kind, "value": r.Value, "undo": r.Undo}
		if err := r.api.Call(ctx, http.MethodPost, "/l402/revoke", in, &answer); err != nil {
			return err
		}
		r.Removed += answer.Removed
	}
	if r.Undo && r.Removed == 0 {
		return fmt.Errorf("nothing to take back: there is no revocation of %s", r.Value)
	}
	return nil
}

// lookUp finds out whether the number is a payment hash or a token id.
func (r *revocation) lookUp(ctx context.Context) error {
	var facts struct {
		PaymentHash string `json:"payment_hash"`
		Settlement  struct {
			TokenID string `json:"token_id"`
		} `json:"settlement"`
	}
	err := r.api.Call(ctx, http.MethodGet, "/l402/payments/"+r.Value, nil, &facts)
	var refused *adminapi.StatusError
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound:
		r.Kinds = []string{kindToken, kindPayment}
		return nil
	case err != nil:
		return err
	case facts.PaymentHash == r.Value:
		r.Kinds = []string{kindPayment}
	case facts.Settlement.TokenID == r.Value:
		r.Kinds = []string{kindToken}
	default:
		return errors.New("reading the admin API's answer: it is about another payment")
	}
	r.Known = true
	return nil
}

// checkService refuses a name that nothing is sold under, which is a slip of the keyboard as a rule.
func (r *revocation) checkService(ctx context.Context) error {
	var s status
	if err := r.api.Call(ctx, http.MethodGet, "/l402/status", nil, &s); err != nil {
		return err
	}
	var names []string
	for _, offer := range s.Offers {
		if offer.Service == r.Value {
			r.Known = true
			return nil
		}
		names = append(names, offer.Service)
	}
	slices.Sort(names)
	sold := strings.Join(slices.Compact(names), ", ")
	if sold == "" {
		sold = "no service at all"
	}
	return usageError("the running configuration does not sell a service %q, but %s; "+
		"to revoke it nevertheless, add --kind service", r.Value, printable(sold))
}

func (r *revocation) print(out io.Writer) error {
	what := map[string]string{
		kindToken: "the token " + r.Value, kindPayment: "all tokens of the payment " + r.Value,
		kindService: "all tokens of the service " + r.Value + " that exist now",
	}
	text := "revoked: " + what[r.Kinds[0]]
	switch {
	case r.Undo:
		text = fmt.Sprintf("took back %d of the revocations of %s", r.Removed, r.Value)
		if r.Removed == 1 {
			text = "took back the revocation of " + r.Value
		}
	case len(r.Kinds) > 1:
		text = "no payment with this number is recorded, so it is revoked as a token id and as a payment hash: " + r.Value
	}
	_, err := fmt.Fprintln(out, text)
	return err
}
