package lightning

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// BakeMacaroon makes a macaroon that allows what is named, such as "offchain:read", and nothing else, as
// `lncli bakemacaroon` does. It returns the file, which lies in the node's folder.
func (n *Node) BakeMacaroon(ctx context.Context, name string, allowed ...string) (file string, err error) {
	type permission struct {
		Entity string `json:"entity"`
		Action string `json:"action"`
	}
	var list []permission
	for _, text := range allowed {
		entity, action, ok := strings.Cut(text, ":")
		if !ok {
			return "", fmt.Errorf("permission %q: want an entity, a colon and an action", text)
		}
		list = append(list, permission{entity, action})
	}
	var answer struct {
		Macaroon string `json:"macaroon"`
	}
	if err := n.do(ctx, http.MethodPost, "/v1/macaroon", map[string]any{"permissions": list}, &answer); err != nil {
		return "", err
	}
	raw, err := hex.DecodeString(answer.Macaroon)
	if err != nil {
		return "", fmt.Errorf("reading a macaroon of %s: %w", n.Name, err)
	}
	file = filepath.Join(n.Dir, name+".macaroon")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return "", fmt.Errorf("writing a macaroon of %s: %w", n.Name, err)
	}
	return file, nil
}
