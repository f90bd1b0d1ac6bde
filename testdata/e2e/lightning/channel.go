package lightning

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

func (n *Node) newAddress(ctx context.Context) (string, error) {
	var r struct{ Address string }
	err := n.do(ctx, http.MethodGet, "/v1/newaddress?type=WITNESS_PUBKEY_HASH", nil, &r)
	return r.Address, err
}

// connectPeer makes a peer connection and accepts one that stands already.
func (n *Node) connectPeer(ctx context.Context, o *Node) error {
	host := fmt.Sprintf("127.0.0.1:%d", o.p2p)
	return proc.Poll(ctx, "a peer connection", func() error {
		err := n.do(ctx, http.MethodPost, "/v1/peers", map[string]any{
			"addr": map[string]string{"pubkey": o.PubKey, "host": host}, "timeout": "5",
		}, nil)
		if err != nil && strings.Contains(err.Error(), "already connected") {
			return nil
		}
		return err
	})
}

// openChannel funds a channel of so many satoshis and gives push of them to the other side.
func (n *Node) openChannel(ctx context.Context, o *Node, sat, push int64) error {
	key, err := hex.DecodeString(o.PubKey)
	if err != nil {
		return fmt.Errorf("decoding the key of %s: %w", o.Name, err)
	}
	return proc.Poll(ctx, "a channel's funding", func() error {
		return n.do(ctx, http.MethodPost, "/v1/channels", map[string]any{
			"node_pubkey":          base64.StdEncoding.EncodeToString(key),
			"local_funding_amount": strconv.FormatInt(sat, 10),
			"push_sat":             strconv.FormatInt(push, 10),
			"sat_per_vbyte":        "2",
		}, nil)
	})
}

// WaitPath waits until n can pay o: the channel is active and its edge is in the graph. Without
// the edge a payment fails for lack of a route.
func (n *Node) WaitPath(ctx context.Context, o *Node) error {
	err := proc.Poll(ctx, n.Name+"'s channel", func() error {
		var list struct{ Channels []struct{ Active bool } }
		if err := n.do(ctx, http.MethodGet, "/v1/channels", nil, &list); err != nil {
			return err
		}
		for _, c := range list.Channels {
			if c.Active {
				return nil
			}
		}
		return errors.New("no active channel")
	})
	if err != nil {
		return err
	}
	return proc.Poll(ctx, "a route from "+n.Name+" to "+o.Name, func() error {
		return n.do(ctx, http.MethodGet, "/v1/graph/routes/"+o.PubKey+"/1000", nil, nil)
	})
}
