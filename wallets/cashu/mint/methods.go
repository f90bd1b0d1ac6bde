package mint

import (
	"encoding/json"
	"slices"
)

// MintMethod is how ecash of a unit is bought with Lightning at a mint (NUT-04).
type MintMethod struct {
	// Min and Max bound the amount, in the unit; zero is no bound.
	Min, Max uint64
	// Description says that invoices can have one.
	Description bool
}

// Minting tells how ecash of a unit is bought with BOLT 11 invoices, and whether it can be. A mint
// that says nothing of it is taken to do it without bounds.
func (i *Info) Minting(unit string) (MintMethod, bool) {
	raw, ok := i.nuts["4"]
	if !ok {
		return MintMethod{}, true
	}
	var setting struct {
		Methods []struct {
			Method      string  `json:"method"`
			Unit        string  `json:"unit"`
			Min         *uint64 `json:"min_amount"`
			Max         *uint64 `json:"max_amount"`
			Description bool    `json:"description"` // where older mints have it
			Options     *struct {
				Description bool `json:"description"`
			} `json:"options"`
		} `json:"methods"`
		Disabled bool `json:"disabled"`
	}
	if json.Unmarshal(raw, &setting) != nil || setting.Disabled {
		return MintMethod{}, false
	}
	for _, m := range setting.Methods {
		if m.Method != "bolt11" || m.Unit != unit {
			continue
		}
		out := MintMethod{Description: m.Description || m.Options != nil && m.Options.Description}
		if m.Min != nil {
			out.Min = *m.Min
		}
		if m.Max != nil {
			out.Max = *m.Max
		}
		return out, true
	}
	return MintMethod{}, false
}

// Watches says whether the mint tells over a websocket when invoices for ecash of a unit are paid
// (NUT-17).
func (i *Info) Watches(unit string) bool {
	var setting struct {
		Supported []struct {
			Method   string   `json:"method"`
			Unit     string   `json:"unit"`
			Commands []string `json:"commands"`
		} `json:"supported"`
	}
	if json.Unmarshal(i.nuts["17"], &setting) != nil {
		return false
	}
	for _, s := range setting.Supported {
		if s.Method == "bolt11" && s.Unit == unit && slices.Contains(s.Commands, kindMintQuote) {
			return true
		}
	}
	return false
}
