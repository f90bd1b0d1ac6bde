package cln

import (
	"encoding/json"
	"testing"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that outlive their wallets.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jsonText is the form in which a transport takes and gives JSON.
type jsonText = json.RawMessage

func unmarshal(b jsonText, v any) error { return json.Unmarshal(b, v) }
