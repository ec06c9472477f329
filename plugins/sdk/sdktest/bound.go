package sdktest

import (
	"runtime"
	"testing"
)

// Bounded runs a reader of n octets from a device, and fails the test when it allocates more than four
// times those octets and 64 KiB: a device must not be able to make a probe grow (H-023). It counts
// what the whole process allocates meanwhile, and so gives a reader more than one try.
func Bounded(t testing.TB, n int, read func()) {
	t.Helper()
	limit := uint64(4*n + 64<<10)
	var spent uint64
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		read()
		runtime.ReadMemStats(&after)
		if spent = after.TotalAlloc - before.TotalAlloc; spent <= limit {
			return
		}
	}
	t.Errorf("reading %d octets allocates %d, at most %d are allowed", n, spent, limit)
}
