package phoenixd

import (
	"context"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf16"
)

var errDeadline = context.DeadlineExceeded

func withTimeout(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 300*time.Millisecond)
}

func decode(body []byte, v any) error { return json.Unmarshal(body, v) }

func units(s string) int { return len(utf16.Encode([]rune(s))) }
