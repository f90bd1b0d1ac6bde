package lnc

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// pairingName is what the pairing is stored under.
	pairingName = "pairing"
	// pairingVersion is the version of the stored form.
	pairingVersion = 1
	// storageTimeout bounds each use of storage.
	storageTimeout = 10 * time.Second
)

// pairing is what a session comes down to once the phrase was used: the static keys of both
// sides. The phrase works once, so that whoever loses these keys needs a new session.
type pairing struct {
	local *btcec.PrivateKey
	// remote is the node's key, nil before the first handshake.
	remote *btcec.PublicKey
	// confirmed says that the node is known to have our key too. The client learns of a first
	// handshake's success before the node does: when the last message is lost in between, the
	// node still waits for the phrase.
	confirmed bool
}

// storedPairing is the form of a pairing in storage.
type storedPairing struct {
	Version   int    `json:"version"`
	LocalKey  string `json:"local_key"`
	RemoteKey string `json:"remote_key,omitempty"`
	Confirmed bool   `json:"confirmed,omitempty"`
}

func (p pairing) encode() ([]byte, error) {
	stored := storedPairing{
		Version: pairingVersion, LocalKey: hex.EncodeToString(p.local.Serialize()), Confirmed: p.confirmed,
	}
	if p.remote != nil {
		stored.RemoteKey = hex.EncodeToString(p.remote.SerializeCompressed())
	}
	return json.Marshal(stored)
}

// errPairing says that the stored keys make no sense. It does not say how: the text holds a key.
var errPairing = errors.New("stored pairing keys are unreadable: make a new session at the node and set its pairing phrase")

// decodePairing reads what encode wrote.
func decodePairing(data []byte) (pairing, error) {
	var stored storedPairing
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if dec.Decode(&stored) != nil || dec.More() || stored.Version != pairingVersion {
		return pairing{}, errPairing
	}
	local, err := hex.DecodeString(stored.LocalKey)
	if err != nil || len(local) != btcec.PrivKeyBytesLen {
		return pairing{}, errPairing
	}
	var scalar btcec.ModNScalar
	if scalar.SetByteSlice(local) || scalar.IsZero() {
		return pairing{}, errPairing
	}
	p := pairing{local: btcec.PrivKeyFromScalar(&scalar), confirmed: stored.Confirmed}
	if stored.RemoteKey == "" {
		if p.confirmed {
			return pairing{}, errPairing
		}
		return p, nil
	}
	remote, err := hex.DecodeString(stored.RemoteKey)
	if err != nil || len(remote) != btcec.PubKeyBytesLenCompressed {
		return pairing{}, errPairing
	}
	if p.remote, err = btcec.ParsePubKey(remote); err != nil {
		return pairing{}, errPairing
	}
	return p, nil
}

// pairings keeps the pairing in memory and, where that works, in storage. It is used by the
// session's goroutine alone.
type pairings struct {
	env     wallets.Env
	current *pairing
	// unsaved says that storage does not hold the current pairing.
	unsaved bool
	warned  bool
}

// get gives the pairing: from memory, from storage, or with a new key of ours.
//
// Storage that cannot be read is an error and no reason for a new key: the phrase may have been
// used with the one that lies there.
func (p *pairings) get(ctx context.Context) (pairing, error) {
	if p.current != nil {
		return *p.current, nil
	}
	loading, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	data, err := p.env.Load(loading, pairingName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		local, err := btcec.NewPrivateKey()
		if err != nil {
			return pairing{}, fmt.Errorf("making a key: %w", err)
		}
		p.put(ctx, pairing{local: local})
		return *p.current, nil
	case err != nil:
		return pairing{}, fmt.Errorf("reading pairing keys: %w", err)
	}
	known, err := decodePairing(data)
	if err != nil {
		return pairing{}, err
	}
	p.current = &known
	return known, nil
}

// put takes a changed pairing in and stores it.
func (p *pairings) put(ctx context.Context, changed pairing) {
	p.current, p.unsaved = &changed, true
	p.save(ctx)
}

// save stores the pairing if storage does not hold it yet. It warns when the pairing would be
// lost with this process, once until it works again.
func (p *pairings) save(ctx context.Context) {
	if p.current == nil || !p.unsaved {
		return
	}
	data, err := p.current.encode()
	if err == nil {
		storing, cancel := context.WithTimeout(ctx, storageTimeout)
		defer cancel()
		err = p.env.Store(storing, pairingName, data)
	}
	switch {
	case err == nil:
		if p.warned {
			p.env.Logger().Info("pairing keys are stored now")
		}
		p.unsaved, p.warned = false, false
	case !p.warned:
		p.warned = true
		p.env.Logger().Warn("pairing keys cannot be stored; the phrase works only once, so after a restart "+
			"this wallet needs a new session and its phrase unless storage works before that", zap.Error(err))
	}
}
