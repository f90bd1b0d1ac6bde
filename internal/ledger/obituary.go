package ledger

import (
	"context"
	"fmt"
	"sync"
)

// obituaries tells what incarnations that ended had spent. It reads their segments once and keeps
// the sums while they are asked for. It is safe for concurrent use.
type obituaries struct {
	l    *Ledger
	mu   sync.Mutex
	kept map[string]obituary
}

type obituary map[[32]byte][]periodSum

type periodSum struct {
	period uint32
	sum    Amount
}

// maxObituaries bounds the tokens that are kept of dead incarnations.
const maxObituaries = 1 << 18

// spent returns what an incarnation had spent of a payment under its claims from number first on.
func (o *obituaries) spent(ctx context.Context, inc string, hash [32]byte, first uint32) (Amount, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	ob, ok := o.kept[inc]
	if !ok {
		var err error
		if ob, err = o.read(ctx, inc); err != nil {
			return Amount{}, err
		}
		size := len(ob)
		for _, other := range o.kept {
			size += len(other)
		}
		if o.kept == nil || size > maxObituaries {
			o.kept = make(map[string]obituary)
		}
		o.kept[inc] = ob
	}
	var sum Amount
	for _, p := range ob[hash] {
		if p.period >= first {
			sum = sum.plus(p.sum)
		}
	}
	return sum.floor(), nil
}

func (o *obituaries) read(ctx context.Context, inc string) (obituary, error) {
	var err error
	gone := make(unwritten[segName])
	for range tries {
		var ob obituary
		if ob, err = o.readOnce(ctx, inc, gone); err == nil {
			return ob, nil
		}
		if !isMissing(err) {
			break // else a merge was under way: look again
		}
	}
	return nil, fmt.Errorf("reading the segments of an instance that ended: %w", err)
}

func (o *obituaries) readOnce(ctx context.Context, inc string, gone unwritten[segName]) (obituary, error) {
	keys, err := o.l.objects.listIn(ctx, areaLedger, o.l.objects.area(areaLedger)+"/"+inc)
	if err != nil {
		return nil, err
	}
	days := make(map[string][]segName)
	for _, key := range keys {
		if n, ok := o.l.objects.parseSegment(key); ok && n.inc == inc {
			days[n.date] = append(days[n.date], n)
		}
	}
	ob := make(obituary)
	now := o.l.opts.Now()
	for _, files := range days {
		for _, f := range plan(gone.leaveOut(files), sufUses) {
			key := o.l.objects.segment(f)
			b, err := o.l.objects.load(ctx, key)
			if isMissing(err) {
				gone.missing(f)
			}
			if err != nil {
				return nil, err
			}
			err = readSegment(b, func(r record) error {
				if r.typ != recUse {
					return nil
				}
				u, err := decodeUse(r)
				if err == nil && !expired(u.until, now) {
					ob.add(u)
				}
				return err
			})
			if err != nil {
				o.l.health.damaged(o.l.logger(), key, err)
			}
		}
	}
	return ob, nil
}

func (ob obituary) add(u useEntry) {
	list := ob[u.hash]
	for i := range list {
		if list[i].period == u.period {
			list[i].sum = list[i].sum.plus(u.delta)
			return
		}
	}
	ob[u.hash] = append(list, periodSum{u.period, u.delta})
}
