package caddyl402

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/sandbox"
)

// openWallets opens the declared wallets, each after those that it stands for.
func (a *App) openWallets(modules map[string]any) error {
	o := opener{app: a, guests: make(map[string]wallets.Guest)}
	for name, module := range modules {
		guest, ok := module.(wallets.Guest)
		if !ok {
			return fmt.Errorf("wallet %q: the module %T is no wallet adapter", name, module)
		}
		o.guests[name] = guest
	}
	for _, name := range slices.Sorted(maps.Keys(o.guests)) {
		if err := o.open(name); err != nil {
			return err
		}
	}
	return nil
}

// opener opens wallets that may stand for one another.
type opener struct {
	app    *App
	guests map[string]wallets.Guest
	// path are the composites that are being opened, the outermost first.
	path []string
}

func (o *opener) open(name string) error {
	if o.app.open[name] != nil {
		return nil
	}
	guest := o.guests[name]
	if composite, ok := guest.(wallets.Composite); ok {
		if i := slices.Index(o.path, name); i >= 0 {
			return fmt.Errorf("wallet %q stands for itself: %s", name, strings.Join(append(o.path[i:], name), " -> "))
		}
		o.path = append(o.path, name)
		if err := o.bind(name, composite); err != nil {
			return err
		}
		o.path = o.path[:len(o.path)-1]
	}
	if err := o.app.openWallet(name, guest); err != nil {
		return fmt.Errorf("wallet %q: %w", name, err)
	}
	return nil
}

// bind opens what a composite stands for and hands it over.
func (o *opener) bind(name string, composite wallets.Composite) error {
	var members []wallets.Member
	for _, member := range composite.Members() {
		if o.guests[member] == nil {
			others := slices.Sorted(maps.Keys(o.guests))
			others = slices.DeleteFunc(others, func(other string) bool { return other == name })
			there := "there is no other"
			if len(others) > 0 {
				there = "there is " + strings.Join(others, ", ")
			}
			return fmt.Errorf("wallet %q stands for wallet %q, which is not declared; %s", name, member, there)
		}
		if err := o.open(member); err != nil {
			return err
		}
		opened := o.app.open[member]
		if opened.cashier == nil {
			return fmt.Errorf("wallet %q stands for wallet %q, which each request fills in: that takes a wallet without placeholders",
				name, member)
		}
		members = append(members, opened.cashier.Member(member))
	}
	if err := composite.Bind(members); err != nil {
		return fmt.Errorf("wallet %q: %w", name, err)
	}
	return nil
}

// whyNoMoney says why the invoices of a wallet are no money, or nothing where they are. A wallet
// that stands for others is opened after them.
func (a *App) whyNoMoney(guest wallets.Guest) string {
	switch g := guest.(type) {
	case *sandbox.Guest:
		return "is the sandbox"
	case wallets.Composite:
		for _, member := range g.Members() {
			if w := a.open[member]; w != nil && w.notMoney != "" {
				return fmt.Sprintf("stands for wallet %q, which %s", member, w.notMoney)
			}
		}
	}
	return ""
}
