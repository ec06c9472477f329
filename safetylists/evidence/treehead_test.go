package evidence_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"primum/safetylists/evidence"
)

// kept is a store of a tree's hashes by record number.
type kept [][]tlog.Hash

func (k kept) read(seq uint64) ([]tlog.Hash, error) { return k[seq-1], nil }

// grown is a tree over n records, with every root on the way.
func grown(n int, record func(int) []byte) (k kept, roots []tlog.Hash) {
	var t evidence.Tree
	root, _ := t.Root()
	roots = append(roots, root)
	for i := range n {
		k = append(k, t.Add(record(i)))
		root, _ = t.Root()
		roots = append(roots, root)
	}
	return k, roots
}

func numbered(i int) []byte { return fmt.Appendf(nil, "record %d\n", i+1) }

func TestTheTreeIsTheOneOfTlogAtEverySize(t *testing.T) {
	k, roots := grown(130, numbered)
	stored := map[int64]tlog.Hash{}
	reader := tlog.HashReaderFunc(func(places []int64) (out []tlog.Hash, err error) {
		for _, p := range places {
			out = append(out, stored[p])
		}
		return out, nil
	})
	for i := range k {
		hashes, err := tlog.StoredHashes(int64(i), numbered(i), reader)
		if err != nil {
			t.Fatal(err)
		}
		for j, h := range hashes {
			stored[tlog.StoredHashIndex(0, int64(i))+int64(j)] = h
		}
		want, err := tlog.TreeHash(int64(i+1), reader)
		if err != nil || want != roots[i+1] {
			t.Fatalf("%d records: root %s, tlog says %s: %v", i+1, roots[i+1], want, err)
		}
		own := evidence.TreeReader(k.read)
		if got, err := tlog.TreeHash(int64(i+1), own); err != nil || got != want {
			t.Fatalf("%d records, read back: %s: %v", i+1, got, err)
		}
		again, err := evidence.TreeAt(uint64(i+1), own)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Root(); err != nil || got != want {
			t.Fatalf("%d records, from its edge: %s: %v", i+1, got, err)
		}
	}
}

func signer(t testing.TB, agent string) evidence.Signer {
	t.Helper()
	text, verifier, err := evidence.NewEvidenceKey(rand.Reader, agent)
	if err != nil {
		t.Fatal(err)
	}
	s, err := evidence.NewSigner(text)
	if err != nil || s.Verifier() != verifier {
		t.Fatalf("verifier %q, want %q: %v", s.Verifier(), verifier, err)
	}
	return s
}

var incarnation = strings.Repeat("ab", 16)

func head(size int, root tlog.Hash) evidence.TreeHead {
	return evidence.TreeHead{Agent: "icu", Incarnation: incarnation, Size: uint64(size), Root: root, At: time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)}
}

func TestNoOctetOfASignedHeadChangesUnseen(t *testing.T) {
	s := signer(t, "icu")
	_, roots := grown(7, numbered)
	want := head(7, roots[7])
	signed, err := s.Sign(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := evidence.OpenHead(signed, s.Verifier()); err != nil || got != want {
		t.Fatalf("%+v: %v", got, err)
	}
	for i := range signed {
		for bit := range 8 {
			changed := bytes.Clone(signed)
			changed[i] ^= 1 << bit
			if got, err := evidence.OpenHead(changed, s.Verifier()); !errors.Is(err, evidence.ErrHead) {
				t.Fatalf("octet %d, bit %d: %+v, %v", i, bit, got, err)
			}
		}
		if _, err := evidence.OpenHead(signed[:i], s.Verifier()); !errors.Is(err, evidence.ErrHead) {
			t.Fatalf("cut to %d octets: %v", i, err)
		}
	}
	if _, err := evidence.OpenHead(signed, signer(t, "icu").Verifier()); !errors.Is(err, evidence.ErrHead) {
		t.Errorf("another key: %v", err)
	}
	ward := want
	ward.Agent = "ward"
	if signed, err = s.Sign(ward); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.OpenHead(signed, s.Verifier()); !errors.Is(err, evidence.ErrHead) {
		t.Errorf("a head of another agent: %v", err)
	}
}

func TestAHeadFitsOnlyItsOwnRecordsAndEarlierHeads(t *testing.T) {
	k, roots := grown(100, numbered)
	own := evidence.TreeReader(k.read)
	other, rewritten := grown(100, func(i int) []byte {
		if i == 41 {
			return []byte("another\n")
		}
		return numbered(i)
	})
	for n := 1; n <= 100; n++ {
		for _, m := range []int{0, 1, n / 2, n - 1, n} {
			if err := head(n, roots[n]).Fits(head(m, roots[m]), own); err != nil {
				t.Fatalf("%d after %d: %v", n, m, err)
			}
		}
		err := head(n, rewritten[n]).Fits(evidence.TreeHead{}, own)
		if changed := n > 41; errors.Is(err, evidence.ErrHead) != changed {
			t.Fatalf("%d records, rewritten %v: %v", n, changed, err)
		}
	}
	if err := head(60, rewritten[60]).Fits(head(50, roots[50]), evidence.TreeReader(other.read)); !errors.Is(err, evidence.ErrHead) {
		t.Errorf("a journal rewritten below an earlier head: %v", err)
	}
}

// FuzzOpenHead holds that what opens is what Sign writes of it.
func FuzzOpenHead(f *testing.F) {
	s := signer(f, "icu")
	_, roots := grown(3, numbered)
	signed, err := s.Sign(head(3, roots[3]))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte("primum-evidence/icu/00\n1\nAAAA\n\n\n— icu AAAA\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := evidence.OpenHead(b, s.Verifier())
		if err != nil {
			return
		}
		again, err := s.Sign(h)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q came back as %q: %v", b, again, err)
		}
	})
}
