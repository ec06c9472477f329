// Package bell wakes whoever waits for a change of what the controller knows. It carries no news: who
// hears it reads the store.
package bell

import "sync"

// Bell is rung at each change. The zero value is ready, and it is safe for concurrent use.
type Bell struct {
	mu   sync.Mutex
	next chan struct{}
}

// Ring wakes everybody who listens.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// Next is closed at the next ring. Take it before reading the store, or a change falls between.
func (b *Bell) Next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}
