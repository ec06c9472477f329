package evidence

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree is the Merkle tree over the canonical bytes of a chain's records (RFC 6962), as far as it has grown.
// It holds only the right edge, so that it costs the same at a million records. The zero value is the empty tree.
type Tree struct {
	size uint64
	edge [64]tlog.Hash // by level; where size has a bit, the hash of the last whole subtree of that level
}

// Size is how many records the tree covers.
func (t *Tree) Size() uint64 { return t.size }

// Add grows the tree by the next record and returns the hashes of the subtrees that it made whole, from level
// 0 on: what a store keeps with the record, to prove with later (TreeReader).
func (t *Tree) Add(record []byte) []tlog.Hash {
	h := tlog.RecordHash(record)
	whole := []tlog.Hash{h}
	level := 0
	for ; t.size>>level&1 == 1; level++ {
		h = tlog.NodeHash(t.edge[level], h)
		whole = append(whole, h)
	}
	t.edge[level] = h
	t.size++
	return whole
}

// Root is the hash over all records so far.
func (t *Tree) Root() (tlog.Hash, error) { return tlog.TreeHash(int64(t.size), t) }

// ReadHashes implements tlog.HashReader for the right edge.
func (t *Tree) ReadHashes(places []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(places))
	for i, place := range places {
		level, n := tlog.SplitStoredHashIndex(place)
		if level >= len(t.edge) || t.size>>level&1 == 0 || uint64(n) != t.size>>level-1 {
			return nil, fmt.Errorf("subtree %d of level %d is not at the edge of a tree of %d records", n, level, t.size)
		}
		out[i] = t.edge[level]
	}
	return out, nil
}

var _ tlog.HashReader = (*Tree)(nil)

// Edge returns the hashes of the right edge, from the lowest level up: all that Regrow needs.
func (t *Tree) Edge() (edge []tlog.Hash) {
	for level := range bits.Len64(t.size) {
		if t.size>>level&1 == 1 {
			edge = append(edge, t.edge[level])
		}
	}
	return edge
}

// Regrow is the tree of so many records with that right edge.
func Regrow(size uint64, edge []tlog.Hash) (Tree, error) {
	if len(edge) != bits.OnesCount64(size) {
		return Tree{}, fmt.Errorf("a tree of %d records has no edge of %d hashes", size, len(edge))
	}
	t := Tree{size: size}
	for level := range bits.Len64(size) {
		if size>>level&1 == 1 {
			t.edge[level], edge = edge[0], edge[1:]
		}
	}
	return t, nil
}

// TreeAt is the tree over the first records of a store, read by its edge alone.
func TreeAt(size uint64, r tlog.HashReader) (Tree, error) {
	t := Tree{size: size}
	for level := range bits.Len64(size) {
		if size>>level&1 == 0 {
			continue
		}
		got, err := r.ReadHashes([]int64{tlog.StoredHashIndex(level, int64(size>>level-1))})
		if err != nil {
			return Tree{}, fmt.Errorf("read the edge of the tree of %d records: %w", size, err)
		}
		t.edge[level] = got[0]
	}
	return t, nil
}

// TreeReader reads the hashes that Add returned out of a store that keeps them by record number, from 1.
type TreeReader func(seq uint64) ([]tlog.Hash, error)

// ReadHashes implements tlog.HashReader.
func (f TreeReader) ReadHashes(places []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(places))
	for i, place := range places {
		level, n := tlog.SplitStoredHashIndex(place)
		whole, err := f(uint64(n+1) << level) // the record that made the subtree whole
		if err != nil {
			return nil, err
		}
		if level >= len(whole) {
			return nil, fmt.Errorf("record %d was stored without the hash of level %d", uint64(n+1)<<level, level)
		}
		out[i] = whole[level]
	}
	return out, nil
}
