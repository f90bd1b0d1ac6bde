package ecash

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

const words = "half depart obvious quality work element tank gorilla view sugar picture humble"

// The vectors of NUT-13.
func TestDeriveVectors(t *testing.T) {
	seed, err := NewSeed(words)
	if err != nil {
		t.Fatal(err)
	}
	for id, coins := range map[KeysetID][][2]string{
		"009a1f293253e41e": {
			{"485875df74771877439ac06339e284c3acfcd9be7abf3bc20b516faeadfe77ae", "ad00d431add9c673e843d4c2bf9a778a5f402b985b8da2d5550bf39cda41d679"},
			{"8f2b39e8e594a4056eb1e6dbb4b0c38ef13b1b2c751f64f810ec04ee35b77270", "967d5232515e10b81ff226ecf5a9e2e2aff92d66ebc3edf0987eb56357fd6248"},
			{"bc628c79accd2364fd31511216a0fab62afd4a18ff77a20deded7b858c9860c8", "b20f47bb6ae083659f3aa986bfa0435c55c6d93f687d51a01f26862d9b9a4899"},
			{"59284fd1650ea9fa17db2b3acf59ecd0f2d52ec3261dd4152785813ff27a33bf", "fb5fca398eb0b1deb955a2988b5ac77d32956155f1c002a373535211a2dfdc29"},
			{"576c23393a8b31cc8da6688d9c9a96394ec74b40fdaf1f693a6bb84284334ea0", "5f09bfbfe27c439a597719321e061e2e40aad4a36768bb2bcc3de547c9644bf9"},
		},
		"015ba18a8adcd02e715a58358eb618da4a4b3791151a4bee5e968bb88406ccf76a": {
			{"db5561a07a6e6490f8dadeef5be4e92f7cebaecf2f245356b5b2a4ec40687298", "6d26181a3695e32e9f88b80f039ba1ae2ab5a200ad4ce9dbc72c6d3769f2b035"},
			{"b70e7b10683da3bf1cdf0411206f8180c463faa16014663f39f2529b2fda922e", "bde4354cee75545bea1a2eee035a34f2d524cee2bb01613823636e998386952e"},
			{"78a7ac32ccecc6b83311c6081b89d84bb4128f5a0d0c5e1af081f301c7a513f5", "f40cc1218f085b395c8e1e5aaa25dccc851be3c6c7526a0f4e57108f12d6dac4"},
			{"094a2b6c63bfa7970bc09cda0e1cfc9cd3d7c619b8e98fabcfc60aea9e4963e5", "099ed70fc2f7ac769bc20b2a75cb662e80779827b7cc358981318643030577d0"},
			{"5e89fc5d30d0bf307ddf0a3ac34aa7a8ee3702169dafa3d3fe1d0cae70ecd5ef", "5550337312d223ba62e3f75cfe2ab70477b046d98e3e71804eade3956c7b98cf"},
		},
	} {
		for counter, want := range coins {
			coin, err := seed.Derive(id, uint64(counter))
			if err != nil {
				t.Fatal(err)
			}
			if coin.Secret != want[0] || hex.EncodeToString(coin.R.Serialize()) != want[1] {
				t.Errorf("keyset %s, counter %d: got %s, %x", id, counter, coin.Secret, coin.R.Serialize())
			}
		}
	}
}

func TestDeriveRefuses(t *testing.T) {
	seed, err := NewSeed(words)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		name    string
		id      KeysetID
		counter uint64
		want    error
	}{
		{"short id", "015ba18a8adcd02e", 0, ErrKeyset},
		{"no id", "", 0, ErrKeyset},
		{"no hex", "00zz1f293253e41e", 0, ErrKeyset},
		{"unknown version", "029a1f293253e41e", 0, ErrKeyset},
		{"beyond BIP 32", "009a1f293253e41e", 1 << 31, ErrCounter},
	} {
		if _, err := seed.Derive(v.id, v.counter); !errors.Is(err, v.want) {
			t.Errorf("%s: got %v", v.name, err)
		}
	}
	if _, err := seed.Derive("009a1f293253e41e", 1<<31-1); err != nil {
		t.Errorf("last counter: %v", err)
	}
}

func TestNewSeed(t *testing.T) {
	a, err := NewSeed("  " + strings.ToUpper(words) + "\n")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := NewSeed(words)
	x, _ := a.Derive("009a1f293253e41e", 0)
	y, _ := b.Derive("009a1f293253e41e", 0)
	if x.Secret != y.Secret {
		t.Error("case and spaces matter")
	}
	for name, s := range map[string]string{
		"empty": "", "a word missing": words[5:], "bad checksum": words[:len(words)-6] + "picture", "unknown word": "caddy " + words[5:],
	} {
		_, err := NewSeed(s)
		if !errors.Is(err, ErrSeed) {
			t.Errorf("%s: got %v", name, err)
		} else if strings.Contains(err.Error(), "obvious") {
			t.Errorf("%s: the error tells the words: %v", name, err)
		}
	}
}

func TestNewMnemonic(t *testing.T) {
	a, err := NewMnemonic()
	if err != nil {
		t.Fatal(err)
	}
	b, _ := NewMnemonic()
	if a == b || len(strings.Fields(a)) != 12 {
		t.Errorf("got %d words, twice the same: %t", len(strings.Fields(a)), a == b)
	}
	if _, err := NewSeed(a); err != nil {
		t.Error(err)
	}
}
