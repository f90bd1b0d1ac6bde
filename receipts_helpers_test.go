package caddyl402

import (
	"encoding/base64"
	"encoding/hex"

	"github.com/caddy-l402/caddy-l402/internal/limit"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func newFreshLimiter() *limit.Limiter { return limit.New(16) }
