package lnd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"code of not found", status.Error(codes.NotFound, "x"), wallets.ErrNotFound},
		{"words of not found", status.Error(codes.Unknown, "unable to locate invoice"), wallets.ErrNotFound},
		{"no invoices at all", status.Error(codes.Unknown, "there are no existing invoices"), wallets.ErrNotFound},
		{"code of refusal", status.Error(codes.PermissionDenied, "x"), wallets.ErrUnauthorized},
		{"no credential", status.Error(codes.Unauthenticated, "x"), wallets.ErrUnauthorized},
		{"LND's refusal", status.Error(codes.Unknown, "permission denied"), wallets.ErrUnauthorized},
		{"another root key", status.Error(codes.Unknown, "verification failed: signature mismatch after caveat verification"), wallets.ErrUnauthorized},
		{"deleted root key", status.Error(codes.Unknown, "cannot get macaroon: root key with id 1 doesn't exist"), wallets.ErrUnauthorized},
		{"no macaroon", status.Error(codes.Unknown, "expected 1 macaroon, got 0"), wallets.ErrUnauthorized},
		{"still starting", status.Error(codes.Unknown, "unable to determine macaroon permissions"), wallets.ErrUnavailable},
		{"locked", status.Error(codes.Unknown, "wallet locked, unlock it to enable full RPC access"), wallets.ErrUnavailable},
		{"older and locked", status.Error(codes.Unimplemented, "unknown service lnrpc.Lightning"), wallets.ErrUnavailable},
		{"down", status.Error(codes.Unavailable, "connection refused"), wallets.ErrUnavailable},
		{"too large", status.Error(codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)"), wallets.ErrBadAnswer},
		{"too many", status.Error(codes.ResourceExhausted, "slow down"), wallets.ErrRateLimited},
		{"garbage", status.Error(codes.Internal, "grpc: failed to unmarshal the received message: x"), wallets.ErrBadAnswer},
		{"broken", status.Error(codes.Internal, "x"), wallets.ErrUnavailable},
		{"another refusal", status.Error(codes.Unknown, "memo too large"), errRefused},
		{"closed here", fmt.Errorf("%w: %w", wallets.ErrUnavailable, net.ErrClosed), net.ErrClosed},
		{"wrapped here", fmt.Errorf("reading: %w", wallets.ErrUnavailable), wallets.ErrUnavailable},
		{"anything else", errors.New("x"), wallets.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &Client{}
			if err := client.classify(t.Context(), c.err); !errors.Is(err, c.want) {
				t.Errorf("got %v, want an error that wraps %q", err, c.want)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := client.classify(ended, c.err); !errors.Is(err, context.Canceled) {
				t.Errorf("with an ended context: got %v, want context.Canceled", err)
			}
		})
	}
}

// TestDeadlineToldByPeer covers the peer's word of the deadline that comes before our own timer.
func TestDeadlineToldByPeer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	client := &Client{}
	for _, code := range []codes.Code{codes.Canceled, codes.DeadlineExceeded} {
		if err := client.classify(ctx, status.Error(code, "x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want context.DeadlineExceeded", code, err)
		}
	}
	if err := client.classify(t.Context(), status.Error(codes.Canceled, "x")); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("without a deadline: got %v, want ErrUnavailable", err)
	}
}

func TestClean(t *testing.T) {
	secret := strings.Repeat("0201036c6e64", 8)
	for _, c := range []struct{ name, in, want string }{
		{"plain", "permission denied", "permission denied"},
		{"a secret", "bad macaroon " + secret + "!", "bad macaroon …!"},
		{"lines and escapes", "a\nb\x1b[31mc", "a b [31mc"},
		{"no UTF-8", "a\xffb", "a b"},
		{"nothing", " \n", "no reason given"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clean(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if got := clean(strings.Repeat("é x", 1<<20)); len(got) > maxErrorText+4 {
		t.Errorf("a long text came out with %d bytes", len(got))
	}
}

func FuzzClean(f *testing.F) {
	f.Add("permission denied")
	f.Add(strings.Repeat("ab", 40))
	f.Add("\xff\x00")
	f.Fuzz(func(t *testing.T, s string) {
		out := clean(s)
		if len(out) > maxErrorText+4 {
			t.Errorf("%d bytes came out", len(out))
		}
		if longRun.MatchString(out) {
			t.Errorf("a long run came out: %q", out)
		}
		if strings.ContainsAny(out, "\n\r\x1b\x00") {
			t.Errorf("control characters came out: %q", out)
		}
	})
}
