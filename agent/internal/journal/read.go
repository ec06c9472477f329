package journal

import (
	"fmt"

	"primum/safetylists/evidence"
)

// Head returns the end of the chain.
func (j *Journal) Head() evidence.Head {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.head
}

// Tree returns the Merkle tree over all records. They are on disk.
func (j *Journal) Tree() evidence.Tree {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tree
}

// Incarnation returns the identity of the journal, 32 hex digits.
func (j *Journal) Incarnation() string { return j.incarnation }

// Failed returns why the journal takes nothing more, nil while it does.
func (j *Journal) Failed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// Grown returns a channel that is closed when records are added after this call.
func (j *Journal) Grown() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.grown
}

// Size returns the octets of the journal.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.end
}

// First returns the number of the oldest record that was not trimmed.
func (j *Journal) First() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.base.Seq + 1
}

// Read returns the canonical bytes of at most n records, and at most octets octets but at least one
// record, from number seq on. It fails with ErrTrimmed when that one is not here any more.
func (j *Journal) Read(seq uint64, n, octets int) ([][]byte, error) {
	j.files.RLock()
	defer j.files.RUnlock()
	j.mu.Lock()
	f, end, gone := j.f, j.end, j.base.Seq
	var places []int64
	if i := seq - gone - 1; seq > gone && i < uint64(len(j.places)) {
		places = j.places[i:min(uint64(len(j.places)), i+uint64(n))]
	}
	j.mu.Unlock()
	if seq <= gone {
		return nil, fmt.Errorf("read record %d: %w", seq, ErrTrimmed)
	}
	var out [][]byte
	total := 0
	for _, place := range places {
		payload, _, err := readFrame(f, place, end, evidence.MaxRecord)
		if err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		if len(out) > 0 && total+len(payload) > octets {
			break
		}
		total += len(payload)
		out = append(out, payload)
	}
	return out, nil
}
