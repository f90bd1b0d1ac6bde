package notify

import (
	"container/heap"
	"container/list"
	"time"
)

// delivery is one event on its way to the target.
type delivery struct {
	id       string
	body     []byte
	first    time.Time // when it was to be told for the first time
	next     time.Time // when to try it
	attempts int
	kept     *chunk // what it came from after a restart, or nil

	index int           // in the heap
	place *list.Element // in the order of arrival
}

// queue holds what waits, by the time of the next try. It is bounded: the oldest goes first.
type queue struct {
	max     int
	byTime  deliveries
	arrived *list.List
}

func newQueue(max int) *queue { return &queue{max: max, arrived: list.New()} }

func (q *queue) len() int { return len(q.byTime) }

// push takes a delivery in and returns the one that had to go for it, or nil.
func (q *queue) push(d *delivery) (dropped *delivery) {
	if q.len() >= q.max {
		dropped = q.arrived.Front().Value.(*delivery)
		q.remove(dropped)
	}
	d.place = q.arrived.PushBack(d)
	heap.Push(&q.byTime, d)
	return dropped
}

// pop takes the delivery out that is due, or tells how long to wait; zero and nil mean that nothing
// waits at all.
func (q *queue) pop(now time.Time) (*delivery, time.Duration) {
	if q.len() == 0 {
		return nil, 0
	}
	d := q.byTime[0]
	if wait := d.next.Sub(now); wait > 0 {
		return nil, wait
	}
	q.remove(d)
	return d, 0
}

func (q *queue) remove(d *delivery) {
	heap.Remove(&q.byTime, d.index)
	q.arrived.Remove(d.place)
	d.place = nil
}

// all lists what waits, the oldest first.
func (q *queue) all() []*delivery {
	list := make([]*delivery, 0, q.len())
	for e := q.arrived.Front(); e != nil; e = e.Next() {
		list = append(list, e.Value.(*delivery))
	}
	return list
}

// deliveries is a heap by time.
type deliveries []*delivery

// Len implements heap.Interface.
func (h deliveries) Len() int { return len(h) }

// Less implements heap.Interface.
func (h deliveries) Less(i, j int) bool { return h[i].next.Before(h[j].next) }

// Swap implements heap.Interface.
func (h deliveries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *deliveries) Push(x any) {
	d := x.(*delivery)
	d.index = len(*h)
	*h = append(*h, d)
}

// Pop implements heap.Interface.
func (h *deliveries) Pop() any {
	old := *h
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return d
}

// Guards.
var _ heap.Interface = (*deliveries)(nil)
