package budget

import (
	"hash/maphash"
	"time"
)

// gcra is the generic cell rate algorithm for many keys of one rate: of each key, when its budget is full again, and how many
// packets of it are on their way. What it does not remember is full. A clock that goes back only waits longer.
//
// What is on its way is not given back by time before it has ended. Without that a conversation that was charged early and
// speaks late falls into one window with what its packets were given back for, and the window on the wire holds more than
// the rate says (PERFORMANCE.md D measures that of every limiter that stamps at the grant).
type gcra struct {
	rate  Rate
	seed  maphash.Seed
	keys  map[uint64]level // two names that fall together share one budget, which is the tighter
	floor time.Duration    // no budget is full before
	sweep int              // keys at which those that are full again are dropped
}

type level struct {
	full time.Duration // when the budget is full again
	out  int           // packets of conversations that have not ended
}

const leastSweep = 64

func newGCRA(r Rate) *gcra {
	return &gcra{rate: r, seed: maphash.MakeSeed(), keys: map[uint64]level{}, sweep: leastSweep}
}

func (b *gcra) key(name string) uint64 { return maphash.String(b.seed, name) }

// now is when the key is full again, seen from a moment.
func (b *gcra) now(l level, boot time.Duration) time.Duration {
	return max(l.full, b.floor, boot+time.Duration(l.out)*b.rate.step())
}

// wait is how long until the key can pay, if nothing of it ends meanwhile; it charges nothing. It is the constant never when what is on its way
// leaves no room: then an end of that is what it waits for.
func (b *gcra) wait(key uint64, packets int, boot time.Duration) time.Duration {
	l := b.keys[key]
	if l.out+packets > b.rate.Burst {
		return never
	}
	return max(0, b.now(l, boot)+time.Duration(packets)*b.rate.step()-b.rate.depth()-boot)
}

const never = 2 * Longest

// start charges a key that can pay.
func (b *gcra) start(key uint64, packets int, boot time.Duration) {
	l := b.keys[key]
	b.keys[key] = level{b.now(l, boot) + time.Duration(packets)*b.rate.step(), l.out + packets}
	if len(b.keys) < b.sweep {
		return
	}
	for k, l := range b.keys {
		if l.full <= boot && l.out == 0 {
			delete(b.keys, k)
		}
	}
	b.sweep = max(leastSweep, 2*len(b.keys))
}

// end gives back by time, from now on, what start charged.
func (b *gcra) end(key uint64, packets int, boot time.Duration) {
	l := b.keys[key]
	b.keys[key] = level{b.now(l, boot), max(0, l.out-packets)}
}

// fill takes all that a key has.
func (b *gcra) fill(key uint64, boot time.Duration) {
	l := b.keys[key]
	b.keys[key] = level{max(l.full, boot+b.rate.depth()), l.out}
}

// spend takes all that every budget has: what was spent before cannot be more.
func (b *gcra) spend(boot time.Duration) { b.floor = max(b.floor, boot+b.rate.depth()) }
