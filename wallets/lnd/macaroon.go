package lnd

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"gopkg.in/macaroon.v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
)

// ParseMacaroon reads a macaroon as LND writes it: the bytes themselves, hex or base64 (standard
// or URL-safe). Errors do not repeat the text.
func ParseMacaroon(text []byte) (*macaroon.Macaroon, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	for _, b := range decodings(text) {
		m := new(macaroon.Macaroon)
		// LND takes no macaroon but those of version 2, which begin with a byte 2.
		if len(b) == 0 || b[0] != 2 || m.UnmarshalBinary(b) != nil {
			continue
		}
		// The library leaves unread what comes after the macaroon.
		if again, err := m.MarshalBinary(); err == nil && bytes.Equal(again, b) {
			return m, nil
		}
	}
	return nil, errors.New("not a macaroon of LND: neither its bytes nor hex nor base64 of them")
}

// decodings gives what text may stand for: itself, and its hex or base64 decoding.
func decodings(text []byte) [][]byte {
	out := [][]byte{text}
	s := string(bytes.TrimSpace(text))
	if b, err := hex.DecodeString(s); err == nil {
		out = append(out, b)
	}
	bare := strings.TrimRight(s, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(bare); err == nil {
			out = append(out, b)
		}
	}
	return out
}

// DescribeMacaroon lists what a macaroon of LND allows: its operations such as "invoices:read" in
// alphabetical order, then its caveats as they stand, each after "only if ". The macaroon's
// signature is not checked, since only LND can do that.
func DescribeMacaroon(m *macaroon.Macaroon) ([]string, error) {
	id := m.Id()
	// The bakery's identifiers begin with their version.
	if len(id) == 0 || id[0] != 3 {
		return nil, errors.New("macaroon's identifier is not of version 3")
	}
	var ops rpc.MacaroonId
	if err := proto.Unmarshal(id[1:], &ops); err != nil {
		return nil, errors.New("macaroon's identifier is unreadable")
	}
	var out []string
	for _, op := range ops.Ops {
		for _, action := range op.Actions {
			out = append(out, clean(op.Entity+":"+action))
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	for _, cav := range m.Caveats() {
		out = append(out, "only if "+clean(string(cav.Id)))
	}
	return out, nil
}

// maxFile bounds what is read from a file: macaroons and certificates have few kilobytes.
const maxFile = 64 << 10

// readFile reads a small regular file.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return b, nil
}

// macaroonSource gives the macaroon from the configuration or from a file, which is read at first
// use and again when LND refuses what it held. It is safe for concurrent use.
type macaroonSource struct {
	// path is the file; where it is empty, current is fixed.
	path string

	mu      sync.Mutex
	current *macaroon.Macaroon
}

// get gives the macaroon; fresh reads the file even when it was read before.
func (s *macaroonSource) get(fresh bool) (*macaroon.Macaroon, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && (s.path == "" || !fresh) {
		return s.current, nil
	}
	b, err := readFile(s.path)
	if err != nil {
		// A file may appear later, so this is no refusal.
		return nil, fmt.Errorf("%w: reading macaroon: %w", wallets.ErrUnavailable, err)
	}
	m, err := ParseMacaroon(b)
	if err != nil {
		return nil, fmt.Errorf("%w: reading macaroon %s: %w", wallets.ErrUnavailable, s.path, err)
	}
	s.current = m
	return m, nil
}

// header is the value that LND wants in the metadata "macaroon".
func header(m *macaroon.Macaroon) (string, error) {
	b, err := m.MarshalBinary()
	if err != nil {
		return "", errors.New("encoding macaroon")
	}
	return hex.EncodeToString(b), nil
}
