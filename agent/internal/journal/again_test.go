package journal

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"primum/safetylists/evidence"
)

// A journal that has failed is written over itself before it is opened anew: it is the same, octet by octet and record
// by record, and nobody else's is touched.
func TestAJournalThatIsWrittenAgainIsTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j, _ := open(t, dir)
	var many []evidence.Record
	for range 3000 { // more than a megabyte, which is written at a time
		many = append(many, evidence.Record{At: t0, Kind: evidence.Outcome, Permit: "p", Result: &evidence.Result{State: evidence.Answered, Detail: strings.Repeat("x", 400)}})
	}
	if _, err := j.Append(many...); err != nil {
		t.Fatal(err)
	}
	head := j.Head()
	if err := Again(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("a journal in use was written again: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Again(dir); err != nil {
		t.Fatal(err)
	}
	again, seen := open(t, dir)
	defer again.Close()
	if again.Head() != head || len(seen) != 3001 {
		t.Errorf("%d records, head %v, was %v", len(seen), again.Head(), head)
	}
	if err := Again(t.TempDir()); err == nil {
		t.Error("a journal that is not there was written")
	}
}
