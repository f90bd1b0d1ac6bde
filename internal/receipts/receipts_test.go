package receipts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-l402/caddy-l402/internal/ledger/ledgertest"
)

var example = Receipt{
	Issuer: "shop.example", PaymentHash: strings.Repeat("ab", 32), AmountMsat: 10_000, Service: "premium", Tier: 2,
	SettledAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Scheme: "L402", TokenID: strings.Repeat("cd", 32),
}

// check verifies as a third party does: by the JWK set alone.
func check(jwks []byte, compact string) ([]byte, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, err
	}
	jws, err := jose.ParseSigned(compact, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, err
	}
	return jws.Verify(&set)
}

func jwks(t *testing.T, s *Signer) []byte {
	t.Helper()
	data, err := s.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sign(t *testing.T, s *Signer) string {
	t.Helper()
	jws, err := s.Sign(t.Context(), &example)
	if err != nil {
		t.Fatal(err)
	}
	return jws
}

func TestThirdPartyChecksAReceipt(t *testing.T) {
	s := New(&certmagic.FileStorage{Path: t.TempDir()}, zap.NewNop())
	if got := string(jwks(t, s)); got != `{"keys":[]}` {
		t.Error("a key was made before it was needed:", got)
	}
	compact := sign(t, s)
	set := jwks(t, s)
	if bytes.Contains(set, []byte(`"d":`)) {
		t.Fatal("the JWK set holds the private key")
	}
	payload, err := check(set, compact)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"iss":"shop.example","payment_hash":"` + example.PaymentHash + `","amount_msat":10000,"service":"premium","tier":2,` +
		`"settled_at":"2026-01-02T03:04:05Z","scheme":"L402","token_id":"` + example.TokenID + `"}`
	if string(payload) != want {
		t.Errorf("got %s\nwant %s", payload, want)
	}
	jws, err := jose.ParseSigned(compact, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || jws.Signatures[0].Header.ExtraHeaders[jose.HeaderType] != Type || len(jws.Signatures[0].Header.KeyID) != 32 {
		t.Errorf("%+v %v", jws.Signatures[0].Header, err)
	}
	// Another payload under the same signature, and another site's key.
	header, rest, _ := strings.Cut(compact, ".")
	body, signature, _ := strings.Cut(rest, ".")
	forged := header + "." + body[:len(body)-2] + "AA." + signature
	if _, err := check(set, forged); err == nil {
		t.Error("a forged receipt is good")
	}
	other := New(&certmagic.FileStorage{Path: t.TempDir()}, zap.NewNop())
	if _, err := check(set, sign(t, other)); err == nil {
		t.Error("another site's receipt is good")
	}
}

func TestKeysOutliveRestartsAndAreShared(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	first := New(storage, zap.NewNop())
	old := sign(t, first)
	restarted := New(storage, zap.NewNop())
	if string(jwks(t, restarted)) != string(jwks(t, first)) {
		t.Error("a restart changed the keys")
	}
	if sign(t, restarted) != old { // Ed25519 is deterministic
		t.Error("a restart signs with another key")
	}
}

func TestTwoInstancesMakeAKeyAtTheSameMoment(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	now := time.Now()
	a, b := New(m, zap.NewNop()), New(m, zap.NewNop())
	later := func() time.Time { return now.Add(time.Second) }
	b.Now = later
	// b has listed nothing yet when a stores its key.
	var compactA string
	m.BeforeStore = func(string) error {
		m.BeforeStore = nil
		compactA = sign(t, a)
		return nil
	}
	compactB := sign(t, b)
	if compactA == compactB || len(m.Keys()) != 2 {
		t.Fatal("there was no race", m.Keys())
	}
	for _, s := range []*Signer{a, b} {
		s.loaded = time.Time{}
		for _, compact := range []string{compactA, compactB} {
			if _, err := check(jwks(t, s), compact); err != nil {
				t.Error(err)
			}
		}
	}
	if sign(t, a) != sign(t, b) {
		t.Error("instances that know of each other sign with different keys")
	}
}

func TestManyAskAtOnce(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	s := New(m, zap.NewNop())
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := s.Sign(t.Context(), &example); err != nil {
				t.Error(err)
			}
			if _, err := s.JWKS(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(m.Keys()); n != 1 {
		t.Errorf("%d keys", n)
	}
}

func TestStorageFails(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	now := time.Now()
	s := New(m, zap.NewNop())
	s.Now = func() time.Time { return now }
	m.Down.Store(true)
	if _, err := s.Sign(t.Context(), &example); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if _, err := s.JWKS(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	m.Down.Store(false)
	m.ReadOnly.Store(true)
	if _, err := s.Sign(t.Context(), &example); !errors.Is(err, ErrUnavailable) {
		t.Error("signed with a key that no other instance can ever know", err)
	}
	m.ReadOnly.Store(false)
	compact := sign(t, s)
	m.Down.Store(true)
	now = now.Add(time.Hour)
	if sign(t, s) != compact {
		t.Error("the key in memory is not used while storage is down")
	}
	if _, err := check(jwks(t, s), compact); err != nil {
		t.Error(err)
	}
}

func TestStrangersInTheFolder(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	core, logs := observer.New(zap.InfoLevel)
	secret := strings.Repeat("5", 64)
	for name, value := range map[string]string{
		"notes.txt":                       "x",
		strings.Repeat("a", 32) + ".key":  `{"created":"2026-01-01T00:00:00Z","seed":"` + secret + `"}`, // another key's name
		strings.Repeat("b", 32) + ".key":  `{"seed":"` + secret + `55"}`,
		strings.Repeat("c", 32) + ".key":  secret,
		strings.Repeat("d", 32) + ".tmp":  `{}`,
		strings.Repeat("E", 32) + ".key":  `{}`,
		"..key":                           `{}`,
		strings.Repeat("f", 300) + ".key": `{}`,
	} {
		if err := m.Store(t.Context(), folder+"/"+name, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	s := New(m, zap.New(core))
	compact := sign(t, s)
	if _, err := check(jwks(t, s), compact); err != nil {
		t.Error(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks(t, s), &set); err != nil || len(set.Keys) != 1 {
		t.Error(err, set)
	}
	seed := ""
	for _, name := range m.Keys() {
		data, err := m.Load(t.Context(), name)
		var from stored
		if id := strings.TrimSuffix(strings.TrimPrefix(name, folder+"/"), suffix); err == nil && id == set.Keys[0].KeyID {
			if err := json.Unmarshal(data, &from); err != nil {
				t.Fatal(err)
			}
			seed = from.Seed
		}
	}
	if seed == "" {
		t.Fatal("no seed")
	}
	for _, entry := range logs.All() {
		for _, field := range entry.Context {
			if strings.Contains(field.String, secret) || strings.Contains(field.String, seed) {
				t.Errorf("a secret in the log: %s %v", entry.Message, field)
			}
		}
	}
	if logs.FilterMessageSnippet("damaged").Len() == 0 {
		t.Error("damaged keys are not reported")
	}
}

func TestRefreshIsSeldom(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	c := &counting{Memory: m}
	s := New(c, zap.NewNop())
	for range 100 {
		jwks(t, s)
	}
	if c.lists != 1 {
		t.Errorf("%d listings", c.lists)
	}
}

// counting counts listings.
type counting struct {
	*ledgertest.Memory
	lists int
}

func (c *counting) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	c.lists++
	return c.Memory.List(ctx, folder, recursive)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"created":"2026-01-01T00:00:00Z","seed":"` + strings.Repeat("5", 64) + `"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := decode(data)
		if err != nil {
			if k != nil || strings.Contains(err.Error(), "5555") {
				t.Error("a key with an error, or a secret in it", err)
			}
			return
		}
		if !isKeyID(k.id) {
			t.Errorf("id %q", k.id)
		}
		if _, err := k.sign(&example); err != nil {
			t.Error(err)
		}
	})
}
