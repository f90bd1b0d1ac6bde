package payment

import (
	"encoding/json"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
)

// Receipt says that a payment was made. It belongs to a successful answer and to no other.
type Receipt struct {
	// Status is "success".
	Status string `json:"status"`
	// Method is the payment method.
	Method string `json:"method"`
	// Timestamp is when the payment was settled, in the format of RFC 3339.
	Timestamp string `json:"timestamp"`
	// Reference is the payment hash in hex.
	Reference string `json:"reference"`
	// ChallengeID is the id of the challenge that was paid.
	ChallengeID string `json:"challengeId,omitempty"`
}

// NewReceipt makes the receipt of a Lightning charge.
func NewReceipt(hash lntypes.Hash, challengeID string, settled time.Time) Receipt {
	return Receipt{
		Status: "success", Method: Method, Timestamp: settled.UTC().Format(time.RFC3339),
		Reference: hash.String(), ChallengeID: challengeID,
	}
}

// Format returns the value of a Payment-Receipt header.
func (r Receipt) Format() string {
	document, err := plainJSON(r)
	if err != nil {
		return "" // strings always encode
	}
	return Encode(document)
}

// ParseReceipt reads a Payment-Receipt header. It returns ErrMalformedCredential if it cannot.
func ParseReceipt(header string) (Receipt, error) {
	var r Receipt
	document, err := Decode(header)
	if err != nil || len(header) > MaxCredential || json.Unmarshal(document, &r) != nil {
		return Receipt{}, ErrMalformedCredential
	}
	return r, nil
}
