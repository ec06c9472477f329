package evidence_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"primum/safetylists/alloctest"
	"primum/safetylists/evidence"
)

// exported is a small export with heads over 3 records and over all, and where each record begins in it.
func exported(t testing.TB, s evidence.Signer, records [][]byte) (file []byte, places []int64, heads []evidence.TreeHead) {
	t.Helper()
	var b bytes.Buffer
	e := evidence.NewExporter(&b, "icu", incarnation, s.Verifier())
	var tree evidence.Tree
	for i, raw := range records {
		tree.Add(raw)
		e.Record(raw)
		if i != 2 && i != len(records)-1 {
			continue
		}
		root, err := tree.Root()
		if err != nil {
			t.Fatal(err)
		}
		h := head(i+1, root)
		note, err := s.Sign(h)
		if err != nil {
			t.Fatal(err)
		}
		e.Head(note)
		heads = append(heads, h)
	}
	if err := e.End(); err != nil {
		t.Fatal(err)
	}
	from := 0
	for _, raw := range records {
		from += bytes.Index(b.Bytes()[from:], raw)
		places = append(places, int64(from))
	}
	return b.Bytes(), places, heads
}

func TestAnExportVerifiesWhole(t *testing.T) {
	s := signer(t, "icu")
	records, _ := chain(t)
	file, _, heads := exported(t, s, records)
	seen := 0
	v, err := evidence.Walk(bytes.NewReader(file), evidence.Check{Verifier: s.Verifier(), Witness: heads,
		Each: func(seq uint64, raw []byte, _ []tlog.Hash) {
			if seen++; seq != uint64(seen) || !bytes.Equal(raw, records[seen-1]) {
				t.Errorf("record %d: %s", seq, raw)
			}
		}})
	if err != nil || seen != len(records) || v.Records != uint64(len(records)) || v.Heads != 2 || v.Last != heads[1] || v.Agent != "icu" {
		t.Fatalf("%+v, %d records seen: %v", v, seen, err)
	}
}

// within is the number of the record whose octets hold a place of the file; 0 for what stands between.
func within(places []int64, records [][]byte, at int) uint64 {
	for i, p := range places {
		if int64(at) >= p && int64(at) < p+int64(len(records[i])) {
			return uint64(i + 1)
		}
	}
	return 0
}

// H-029: whoever holds the file finds any change, and where it is.
func TestEveryFlippedOctetOfAnExportIsFoundAndLocated(t *testing.T) {
	s := signer(t, "icu")
	records, _ := chain(t)
	records = records[:5]
	file, places, _ := exported(t, s, records)
	exact := 0
	for i := range file {
		for _, flip := range []byte{0x01, 0x20} {
			changed := bytes.Clone(file)
			changed[i] ^= flip
			record := within(places, records, i)
			look := record > 0 && (i+int(flip))%211 == 0 // the search for the octet takes its time
			_, err := evidence.Walk(bytes.NewReader(changed), evidence.Check{Exact: look})
			var f *evidence.Fault
			if !errors.As(err, &f) {
				t.Fatalf("octet %d changed by %02X: %v", i, flip, err)
			}
			if record > 0 && f.Record != record {
				t.Fatalf("octet %d in record %d changed by %02X: found as %v", i, record, flip, f)
			}
			if look {
				exact++
				if f.Octet != int64(i) {
					t.Errorf("octet %d in record %d changed by %02X: located as %v", i, record, flip, f)
				}
			}
		}
	}
	if exact < 10 {
		t.Errorf("%d octets were located", exact)
	}
}

func TestDroppedRepeatedAndReorderedPartsOfAnExportAreFound(t *testing.T) {
	s := signer(t, "icu")
	records, _ := chain(t)
	records = records[:5]
	file, _, heads := exported(t, s, records)
	found := func(name string, changed []byte, c evidence.Check) {
		t.Helper()
		if _, err := evidence.Walk(bytes.NewReader(changed), c); !evidence.IsFault(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range file {
		found(fmt.Sprintf("octet %d dropped", i), append(bytes.Clone(file[:i]), file[i+1:]...), evidence.Check{})
		found(fmt.Sprintf("octet %d twice", i), append(bytes.Clone(file[:i+1]), file[i:]...), evidence.Check{})
		found(fmt.Sprintf("cut to %d octets", i), file[:i], evidence.Check{})
		if i > 0 && file[i] != file[i-1] {
			swapped := bytes.Clone(file)
			swapped[i], swapped[i-1] = swapped[i-1], swapped[i]
			found(fmt.Sprintf("octets %d and %d swapped", i-1, i), swapped, evidence.Check{})
		}
	}
	for i := range records {
		fewer := append(append([][]byte{}, records[:i]...), records[i+1:]...)
		short, _, _ := exported(t, s, fewer) // the lengths and numbers are made right, and the agent's own key signs
		found(fmt.Sprintf("record %d dropped", i+1), short, evidence.Check{Witness: heads})
	}
	short, _, _ := exported(t, s, records[:4])
	found("the newest records dropped", short, evidence.Check{Witness: heads})
	other := signer(t, "icu")
	forged, _, _ := exported(t, other, records)
	found("signed by another key", forged, evidence.Check{Verifier: s.Verifier()})
}

func TestARecordIsProvenAloneAndNoOctetOfTheProofChangesUnseen(t *testing.T) {
	s := signer(t, "icu")
	records, _ := chain(t)
	file, _, _ := exported(t, s, records)
	for _, n := range []uint64{1, 4, 8} {
		places, err := evidence.Needed(n, uint64(len(records)))
		if err != nil {
			t.Fatal(err)
		}
		wanted := map[int64]bool{}
		for _, p := range places {
			wanted[p] = true
		}
		held := map[int64]tlog.Hash{}
		v, err := evidence.Walk(bytes.NewReader(file), evidence.Check{Each: func(seq uint64, _ []byte, whole []tlog.Hash) {
			for level, h := range whole {
				if at := tlog.StoredHashIndex(level, int64(seq>>level)-1); wanted[at] {
					held[at] = h
				}
			}
		}})
		if err != nil || len(held) != len(wanted) {
			t.Fatalf("%d of %d hashes: %v", len(held), len(wanted), err)
		}
		var proof bytes.Buffer
		if err := evidence.WriteProof(&proof, v, n, records[n-1], tlog.HashReaderFunc(func(places []int64) (out []tlog.Hash, err error) {
			for _, p := range places {
				out = append(out, held[p])
			}
			return out, nil
		})); err != nil {
			t.Fatal(err)
		}
		got, err := evidence.ReadProof(bytes.NewReader(proof.Bytes()), s.Verifier())
		if err != nil || !bytes.Equal(got.Raw, records[n-1]) || got.Record.Seq != n || got.Head != v.Last {
			t.Fatalf("record %d: %+v: %v", n, got, err)
		}
		for i := range proof.Bytes() {
			changed := bytes.Clone(proof.Bytes())
			changed[i] ^= 0x01
			if _, err := evidence.ReadProof(bytes.NewReader(changed), s.Verifier()); !evidence.IsFault(err) {
				t.Fatalf("record %d, octet %d of the proof changed: %v", n, i, err)
			}
		}
	}
	if _, err := evidence.Needed(9, 8); err == nil {
		t.Error("a record that is not there is proven")
	}
}

// FuzzWalk holds that what verifies is what the exporter writes, and that no file makes it take memory.
func FuzzWalk(f *testing.F) {
	s := signer(f, "icu")
	records, _ := chain(f)
	file, _, _ := exported(f, s, records)
	f.Add(file)
	f.Add([]byte("primum-export/1\nagent icu\nincarnation 00\nkey x\nrecord 1 131072\n"))
	f.Add([]byte("primum-proof/1\nkey x\nrecord 1 131072\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		alloctest.Bounded(t, b, 256, 2<<20, func() {
			if v, err := evidence.Walk(bytes.NewReader(b), evidence.Check{Verifier: s.Verifier()}); err == nil && !bytes.Equal(b, file) {
				t.Errorf("%d records verify that nobody signed", v.Records)
			}
			if _, err := evidence.ReadProof(bytes.NewReader(b), s.Verifier()); err == nil {
				t.Error("a record is proven that nobody signed")
			}
		})
	})
}
