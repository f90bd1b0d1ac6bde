package ledger_test

import (
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-l402/caddy-l402/internal/ledger/ledgertest"
)

func TestFileStorage(t *testing.T) {
	ledgertest.Run(t, func() certmagic.Storage { return &certmagic.FileStorage{Path: t.TempDir()} })
}

func TestMisbehavingStorage(t *testing.T) {
	for name, b := range map[string]ledgertest.Behavior{
		"well-behaved":                  {},
		"lists by string prefix":        {StringPrefix: true},
		"knows no recursion":            {NoRecursion: true},
		"lists no folders":              {NoFolders: true},
		"missing folder is empty":       {MissingIsEmpty: true},
		"missing folder is odd error":   {MissingIsOddError: true},
		"odd error without recursion":   {MissingIsOddError: true, NoRecursion: true},
		"slash before keys":             {LeadingSlash: true},
		"temporary names":               {TemporaryNames: true},
		"lists fail now and then":       {ListFlakes: 3},
		"objects vanish while listed":   {ListVanishes: 3},
		"fails every fourth call":       {FailEvery: 4},
		"fails every fifth, yet stores": {FailEvery: 5, ApplyThenFail: true},
		"lock does nothing":             {LockDoesNothing: true},
		"lock always fails":             {LockFails: true},
		"all at once": {StringPrefix: true, NoRecursion: true, MissingIsEmpty: true, LeadingSlash: true, TemporaryNames: true,
			ListFlakes: 5, ListVanishes: 4, FailEvery: 7, ApplyThenFail: true, LockDoesNothing: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledgertest.Run(t, func() certmagic.Storage {
				m := ledgertest.NewMemory(b)
				t.Cleanup(func() {
					for _, v := range m.Violations() {
						t.Error(v)
					}
				})
				return m
			})
		})
	}
}
