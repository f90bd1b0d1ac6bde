package token

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

const (
	requestA = "creqA"
	// requestB is the human-readable part of a request of version B, and the separator.
	requestB = "creqb1"
)

// Request asks for a payment (NUT-18, NUT-26). In answers of status 402 it has no transport: the
// token comes back in the header of the next request (NUT-24). Each field may be empty.
type Request struct {
	// ID is repeated with the payment.
	ID string
	// Amount is how much is asked for, in Unit. Zero leaves it to the payer.
	Amount uint64
	// Unit is the unit of the ecash wanted, such as sat.
	Unit string
	// SingleUse says, where it is not nil, whether the request is for one payment.
	SingleUse *bool
	// Mints are the mints whose ecash is accepted; none means any.
	Mints []string
	// Description is shown to the payer.
	Description string
	// Transports are the ways to deliver the payment, the best first.
	Transports []Transport
	// Lock is the condition that the ecash must have, or nil.
	Lock *LockOption
}

// Transport is a way to deliver a payment (NUT-18).
type Transport struct {
	// Type is nostr or post.
	Type string `cbor:"t"`
	// Target is an nprofile, npub or URL.
	Target string `cbor:"a"`
	// Tags are further terms: the name and its values.
	Tags [][]string `cbor:"g,omitempty"`
}

// LockOption is the condition that a payer shall put on the ecash (NUT-18).
type LockOption struct {
	// Kind is KindP2PK or KindHTLC.
	Kind string `cbor:"k"`
	// Data is the public key or hash in hex.
	Data string `cbor:"d"`
	// Tags are further terms: the name and its values.
	Tags [][]string `cbor:"t,omitempty"`
}

// requestCBOR has its fields in the order of the published vectors.
type requestCBOR struct {
	Transports  []Transport `cbor:"t,omitempty"`
	ID          string      `cbor:"i,omitempty"`
	Amount      uint64      `cbor:"a,omitempty"`
	Unit        string      `cbor:"u,omitempty"`
	Mints       []string    `cbor:"m,omitempty"`
	Description string      `cbor:"d,omitempty"`
	SingleUse   *bool       `cbor:"s,omitempty"`
	Lock        *LockOption `cbor:"nut10,omitempty"`
}

func (r *Request) check() error {
	if r.Amount > 0 && r.Unit == "" {
		return fmt.Errorf("%w: an amount without unit", ErrRequest)
	}
	for _, m := range r.Mints {
		if _, err := NormalizeMint(m); err != nil {
			return fmt.Errorf("%w: %w", ErrRequest, err)
		}
	}
	for _, tags := range r.tagLists() {
		for _, tag := range tags {
			if len(tag) == 0 || tag[0] == "" {
				return fmt.Errorf("%w: a tag without name", ErrRequest)
			}
		}
	}
	return nil
}

func (r *Request) tagLists() [][][]string {
	var out [][][]string
	for _, t := range r.Transports {
		out = append(out, t.Tags)
	}
	if r.Lock != nil {
		out = append(out, r.Lock.Tags)
	}
	return out
}

// Encode writes the request in version A (NUT-18). Errors wrap ErrRequest.
func (r *Request) Encode() (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	b, err := cbor.Marshal(requestCBOR{
		Transports: r.Transports, ID: r.ID, Amount: r.Amount, Unit: r.Unit, Mints: r.Mints,
		Description: r.Description, SingleUse: r.SingleUse, Lock: r.Lock,
	})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRequest, err)
	}
	out := requestA + base64.RawURLEncoding.EncodeToString(b)
	if len(out) > MaxSize {
		return "", fmt.Errorf("%w: %d characters where %d are the most", ErrRequest, len(out), MaxSize)
	}
	return out, nil
}

// ParseRequest reads a request of either version. Errors wrap ErrRequest.
func ParseRequest(text string) (*Request, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: %d characters where %d are the most", ErrRequest, len(text), MaxSize)
	}
	var r *Request
	var err error
	switch {
	case len(text) >= len(requestA) && strings.EqualFold(text[:len(requestA)], requestA):
		r, err = parseRequestA(text[len(requestA):])
	case len(text) >= len(requestB) && strings.EqualFold(text[:len(requestB)], requestB):
		r, err = parseRequestB(text)
	default:
		return nil, fmt.Errorf("%w: it begins neither with creqA nor with creqb1", ErrRequest)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return r, r.check()
}

func parseRequestA(text string) (*Request, error) {
	b, err := decodeBase64(text)
	if err != nil {
		return nil, err
	}
	var raw requestCBOR
	if err := decoder.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("its CBOR is not as NUT-18 has it")
	}
	return &Request{
		ID: raw.ID, Amount: raw.Amount, Unit: raw.Unit, SingleUse: raw.SingleUse, Mints: raw.Mints,
		Description: raw.Description, Transports: raw.Transports, Lock: raw.Lock,
	}, nil
}
