// Package alloctest is for the fuzz tests of what reads foreign bytes: it bounds what reading may allocate.
package alloctest

import (
	"runtime"
	"testing"
)

// Bounded fails when reading b allocates more than times its size and base, both in octets.
func Bounded(t testing.TB, b []byte, times, base int, read func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(times*len(b)+base) {
		t.Errorf("reading %d octets allocated %d", len(b), got)
	}
}
