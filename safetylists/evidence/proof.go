package evidence

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Needed returns which subtree hashes a proof of a record takes out of a tree of some size, by their places as
// tlog counts them.
func Needed(seq, size uint64) ([]int64, error) {
	if seq == 0 || seq > size {
		return nil, fmt.Errorf("there is no record %d; the newest signed head covers %d", seq, size)
	}
	var places []int64
	_, err := tlog.ProveRecord(int64(size), int64(seq-1), tlog.HashReaderFunc(func(p []int64) ([]tlog.Hash, error) {
		places = append(places, p...)
		return make([]tlog.Hash, len(p)), nil
	}))
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", seq, err)
	}
	return places, nil
}

// WriteProof writes one record with the proof that it is in the journal under a signed head.
func WriteProof(w io.Writer, v Verified, seq uint64, record []byte, r tlog.HashReader) error {
	if seq == 0 || seq > v.Last.Size {
		return fmt.Errorf("prove record %d: the newest signed head covers %d", seq, v.Last.Size)
	}
	proof, err := tlog.ProveRecord(int64(v.Last.Size), int64(seq-1), r)
	if err != nil {
		return fmt.Errorf("prove record %d: %w", seq, err)
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s\nkey %s\nrecord %d %d\n%sproof %d %d\n", proofForm, v.Verifier, seq, len(record), record, v.Last.Size, len(proof))
	for _, h := range proof {
		fmt.Fprintf(b, "%s\n", h)
	}
	fmt.Fprintf(b, "head %d %d\n%send %d %d\n", v.Last.Size, len(v.Note), v.Note, seq, v.Last.Size)
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write proof: %w", err)
	}
	return nil
}

// Proven is one record that was shown to be in a journal.
type Proven struct {
	Verifier string
	Record   Record
	Raw      []byte
	Head     TreeHead
}

// ReadProof verifies a file of WriteProof. It fails with *Fault, or with what the reader says.
func ReadProof(r io.Reader, verifier string) (p Proven, err error) {
	l := newLines(r)
	form, at, err := l.line()
	if err != nil {
		return p, err
	}
	if form != proofForm {
		return p, l.fault(at+differ(form, proofForm), "the file does not begin with %s", proofForm)
	}
	var keyAt int64
	if p.Verifier, keyAt, err = l.named("key"); err != nil {
		return p, err
	}
	if name, _, _ := strings.Cut(p.Verifier, "+"); CheckVerifier(p.Verifier, name) != nil {
		return p, l.fault(keyAt, "%q is no key", p.Verifier)
	}
	if verifier != "" && p.Verifier != verifier {
		return p, l.fault(keyAt, "the key is not the one that you gave")
	}
	record, body, bodyAt, err := l.part("record", MaxRecord)
	if err != nil {
		return p, err
	}
	l.record = record
	value, at, err := l.named("proof")
	if err != nil {
		return p, err
	}
	of, err := l.numbers(value, at, 2)
	if err != nil {
		return p, err
	}
	if of[1] > 64 {
		return p, l.fault(at, "no proof has %d hashes", of[1])
	}
	proof := make(tlog.RecordProof, of[1])
	for i := range proof {
		text, at, err := l.line()
		if err != nil {
			return p, err
		}
		if proof[i], err = tlog.ParseHash(text); err != nil || proof[i].String() != text {
			return p, l.fault(at, "%q is not a hash", text)
		}
	}
	size, note, noteAt, err := l.part("head", MaxHead)
	if err != nil {
		return p, err
	}
	if p.Head, err = OpenHead(note, p.Verifier); err != nil {
		return p, l.fault(noteAt, "%v", err)
	}
	if p.Head.Size != size || of[0] != size || record == 0 || record > size {
		return p, l.fault(noteAt, "the head is over %d records, the proof over %d, the record is number %d", p.Head.Size, of[0], record)
	}
	if err := tlog.CheckRecord(proof, int64(size), p.Head.Root, int64(record-1), tlog.RecordHash(body)); err != nil {
		return p, l.fault(bodyAt, "the record is not in the journal under this head, or its proof was changed")
	}
	p.Raw = body
	if p.Record, _, err = Decode(body); err != nil || p.Record.Seq != record {
		return p, l.fault(bodyAt, "it is not record %d: %v", record, err)
	}
	text, at, err := l.line()
	if err != nil {
		return p, err
	}
	if want := fmt.Sprintf("end %d %d", record, size); text != want {
		return p, l.fault(at+differ(text, want), "the file does not end with %q", want)
	}
	return p, l.end()
}

// part reads a line of a name with number and length, and what it announces.
func (l *lines) part(name string, most uint64) (number uint64, body []byte, place int64, err error) {
	value, at, err := l.named(name)
	if err != nil {
		return 0, nil, 0, err
	}
	n, err := l.numbers(value, at, 2)
	if err != nil {
		return 0, nil, 0, err
	}
	body, place, err = l.take(n[1], most, at)
	return n[0], body, place, err
}
