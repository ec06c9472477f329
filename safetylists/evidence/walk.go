package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Check is what a file is held against beside itself.
type Check struct {
	Verifier string     // from elsewhere, as the agent's own machine; empty: the one in the file is believed
	Witness  []TreeHead // verified heads that a witness kept
	Exact    bool       // look for the very octet of a change, which takes a moment
	// Each is told of every record, and of the subtrees that it made whole; may be nil.
	Each func(seq uint64, raw []byte, whole []tlog.Hash)
}

// Verified is what a file has shown.
type Verified struct {
	Agent       string
	Incarnation string
	Verifier    string
	Records     uint64
	Heads       uint64
	Last        TreeHead
	Note        []byte // the last head, as it was signed
}

// entry is one part of a file after its first lines.
type entry struct {
	name    string
	numbers []uint64
	at      int64 // of its line
	body    []byte
	bodyAt  int64
}

// walker is what is known so far.
type walker struct {
	Check
	l       *lines
	out     Verified
	chain   Head
	tree    Tree
	places  int64 // where the record after the last head stands
	witness map[uint64]tlog.Hash
}

// Walk verifies an export: every octet, in order. It fails with *Fault, which says the first record that is not
// what the agent signed and where it stands (H-029), or with what the reader says.
func Walk(r io.Reader, c Check) (Verified, error) {
	w := &walker{Check: c, l: newLines(r), witness: map[uint64]tlog.Hash{}}
	if err := w.begin(); err != nil {
		return w.out, err
	}
	var last entry // a record whose successor has not confirmed it yet
	for {
		e, err := w.next()
		if err != nil {
			return w.out, err
		}
		if last.name == "record" {
			if err := w.confirmed(last, e); err != nil {
				return w.out, err
			}
		}
		switch e.name {
		case "record":
			w.l.record++
		case "head":
			if err := w.head(e); err != nil {
				return w.out, err
			}
		case "end":
			return w.out, w.finish(e)
		}
		last = e
	}
}

// begin reads the first lines.
func (w *walker) begin() error {
	form, at, err := w.l.line()
	if err != nil {
		return err
	}
	if form != exportForm {
		return w.l.fault(at+differ(form, exportForm), "the file does not begin with %s", exportForm)
	}
	places := map[string]int64{}
	for _, f := range []struct {
		name string
		to   *string
	}{{"agent", &w.out.Agent}, {"incarnation", &w.out.Incarnation}, {"key", &w.out.Verifier}} {
		if *f.to, places[f.name], err = w.l.named(f.name); err != nil {
			return err
		}
	}
	if err := CheckVerifier(w.out.Verifier, w.out.Agent); err != nil {
		return w.l.fault(places["key"], "the key is not one of agent %q: %v", w.out.Agent, err)
	}
	if w.Verifier != "" && w.Verifier != w.out.Verifier {
		return w.l.fault(places["key"], "the key is not the one that you gave")
	}
	if raw, err := hex.DecodeString(w.out.Incarnation); err != nil || len(raw) != 16 || hex.EncodeToString(raw) != w.out.Incarnation {
		return w.l.fault(places["incarnation"], "this is no incarnation of a journal")
	}
	for _, h := range w.Witness {
		if h.Incarnation == w.out.Incarnation {
			w.witness[h.Size] = h.Root
		}
	}
	w.places = w.l.place
	return nil
}

// next reads one part.
func (w *walker) next() (e entry, err error) {
	text, at, err := w.l.line()
	if err != nil {
		return e, err
	}
	name, value, _ := strings.Cut(text, " ")
	e = entry{name: name, at: at}
	if name == "record" { // what is wrong with it is said of it, not of the one before
		w.l.record++
		defer func() { w.l.record-- }()
	} else if name != "head" && name != "end" {
		return e, w.l.fault(at, "here a record, a head or the end should stand, not %q", name)
	}
	if e.numbers, err = w.l.numbers(value, at, 2); err != nil {
		return e, err
	}
	switch name {
	case "record":
		if e.numbers[0] != w.l.record {
			return e, w.l.fault(at, "record %d stands where record %d belongs: records were dropped, repeated or put in another order", e.numbers[0], w.l.record)
		}
		e.body, e.bodyAt, err = w.l.take(e.numbers[1], MaxRecord, at)
	case "head":
		if e.numbers[0] != w.l.record {
			return e, w.l.fault(at, "a head over %d records stands after record %d", e.numbers[0], w.l.record)
		}
		e.body, e.bodyAt, err = w.l.take(e.numbers[1], MaxHead, at)
	}
	return e, err
}

// confirmed judges a record by its own form and by what follows it.
func (w *walker) confirmed(e, after entry) error {
	r, next, err := w.chain.Follow(e.body)
	right := w.expected(after)
	switch {
	case err != nil && prevOnly(e.body, w.chain):
		at := bytes.Index(e.body, []byte(`"prev":"`)) + len(`"prev":"`)
		return w.l.fault(e.bodyAt+int64(at)+differ(string(e.body[at:]), hex.EncodeToString(w.chain.Hash[:])), "the record names another predecessor than the one that stands there")
	case err != nil:
		return w.exactly(e, right, "it is not the record that followed: %v", err)
	case right != nil && !right(e.body):
		if after.name == "record" && prevOnly(after.body, next) {
			break // the change is in the next one, and is said there
		}
		return w.exactly(e, right, "its contents were changed")
	}
	if e.numbers[0] == 1 && (r.Kind != Begun || r.Incarnation != w.out.Incarnation) {
		return w.l.fault(e.bodyAt, "the first record is of another journal than the file says")
	}
	w.chain = next
	whole := w.tree.Add(e.body)
	if w.Each != nil {
		w.Each(r.Seq, e.body, whole)
	}
	if want, ok := w.witness[r.Seq]; ok {
		delete(w.witness, r.Seq)
		if got, err := w.tree.Root(); err != nil || got != want {
			return w.since("a witness kept a head over %d records that does not fit these", r.Seq)
		}
	}
	return nil
}

// prevOnly reports whether a record would follow the head but for one or two wrong octets of its predecessor's hash.
func prevOnly(raw []byte, h Head) bool {
	name := []byte(`"prev":"`)
	at := bytes.Index(raw, name) + len(name)
	want := hex.EncodeToString(h.Hash[:])
	if at < len(name) || at+len(want) > len(raw) {
		return false
	}
	wrong := 0
	for i := range want {
		if raw[at+i] != want[i] {
			wrong++
		}
	}
	fixed := append(bytes.Clone(raw[:at]), append([]byte(want), raw[at+len(want):]...)...)
	_, _, err := h.Follow(fixed)
	return wrong > 0 && wrong <= 2 && err == nil
}

// expected returns what tells the one right content of a record by what follows it; nil when nothing does.
func (w *walker) expected(after entry) func([]byte) bool {
	switch after.name {
	case "record":
		next, _, err := Decode(after.body)
		if err != nil {
			return nil
		}
		return func(b []byte) bool { return sha256.Sum256(b) == next.Prev }
	case "head":
		h, err := OpenHead(after.body, w.out.Verifier)
		if err != nil || h.Size != w.l.record {
			return nil
		}
		return func(b []byte) bool {
			t := w.tree
			t.Add(b)
			root, err := t.Root()
			return err == nil && root == h.Root
		}
	}
	return nil
}

// exactly looks for the one octet whose change makes a record right, and else names the record.
func (w *walker) exactly(e entry, right func([]byte) bool, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if w.Exact && right != nil {
		b := bytes.Clone(e.body)
		for i, is := range e.body {
			for v := range 256 {
				if b[i] = byte(v); byte(v) != is && right(b) {
					return w.l.fault(e.bodyAt+int64(i), "%s: octet %d of the record is %02X and was %02X", what, i, is, v)
				}
			}
			b[i] = is
		}
	}
	return w.l.fault(e.bodyAt, "%s", what)
}

// head takes a signed head over the records so far.
func (w *walker) head(e entry) error {
	h, err := OpenHead(e.body, w.out.Verifier)
	switch {
	case err != nil:
		return w.l.fault(e.bodyAt, "the head after this record: %v", err)
	case h.Agent != w.out.Agent || h.Incarnation != w.out.Incarnation:
		return w.l.fault(e.bodyAt, "the head is of another journal")
	case h.Size != w.l.record:
		return w.l.fault(e.bodyAt, "the head is over %d records", h.Size)
	}
	root, err := w.tree.Root()
	if err != nil {
		return err
	}
	if root != h.Root {
		return w.since("the signed head over %d records does not fit these", h.Size)
	}
	w.out.Heads++
	w.out.Last, w.out.Note, w.places = h, e.body, w.l.place
	return nil
}

// since says that something is wrong after the last head that fits: the records follow each other, and somebody has
// written them anew.
func (w *walker) since(format string, args ...any) error {
	f := &Fault{Record: w.out.Last.Size + 1, Octet: w.places, What: fmt.Sprintf(format, args...)}
	f.What += fmt.Sprintf(": records were written anew somewhere from %d to %d", f.Record, w.l.record)
	return f
}

// finish reads the end.
func (w *walker) finish(e entry) error {
	w.out.Records = w.l.record
	if e.numbers[0] != w.l.record || e.numbers[1] != w.out.Heads {
		return w.l.fault(e.at, "the file says %d records and %d heads at its end, and has %d and %d", e.numbers[0], e.numbers[1], w.l.record, w.out.Heads)
	}
	if w.out.Last.Size != w.l.record || w.l.record == 0 {
		return w.l.fault(e.at, "no signed head stands over the records after %d", w.out.Last.Size)
	}
	for size := range w.witness {
		return w.l.fault(e.at, "a witness kept a head over %d records: the file lacks what came after record %d", size, w.l.record)
	}
	return w.l.end()
}

// IsFault reports whether an error is a fault of a file of evidence.
func IsFault(err error) bool {
	var f *Fault
	return errors.As(err, &f)
}
