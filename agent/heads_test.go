package agent

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// witnessed are the heads in a witness file, each verified.
func witnessed(t *testing.T, path, verifier string) []evidence.TreeHead {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, others, err := evidence.ReadWitness(f, verifier)
	if err != nil || others != 0 {
		t.Fatalf("%d parts that are no heads: %v", others, err)
	}
	return out
}

// H-029: what a head says is the journal on this machine, over restarts, and the witness file has each head.
func TestASignedHeadStandsOverTheWholeJournalAndInTheWitnessFile(t *testing.T) {
	dir := t.TempDir()
	witness := filepath.Join(dir, "witness")
	life := func(epoch uint64) (verifier string, root string, size uint64) {
		a := &Agent{cfg: Config{Data: dir, Policy: list.Lab, Witness: witness}, id: Identity{Name: "icu"}, log: slog.New(slog.DiscardHandler), headed: make(chan struct{})}
		var err error
		if a.signer, err = openSigner(dir, "icu"); err != nil {
			t.Fatal(err)
		}
		if err := a.openJournal(); err != nil {
			t.Fatal(err)
		}
		_, _, newer := (*local)(a).Head()
		if _, err := a.note(evidence.Record{At: time.Now(), Kind: evidence.Session, Epoch: epoch}); err != nil {
			t.Fatal(err)
		}
		a.signHead()
		a.signHead() // nothing has grown
		select {
		case <-newer:
		default:
			t.Error("nobody is told of the head")
		}
		note, size, _ := (*local)(a).Head()
		h, err := evidence.OpenHead(note, a.signer.Verifier())
		if err != nil || h.Size != size || size != a.journal.Head().Seq || h.Incarnation != a.journal.Incarnation() {
			t.Fatalf("%+v over %d records: %v", h, a.journal.Head().Seq, err)
		}
		raw, err := a.journal.Read(1, 100, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var tree evidence.Tree
		for _, b := range raw {
			tree.Add(b)
		}
		if own, err := tree.Root(); err != nil || own != h.Root {
			t.Errorf("root %s over records of root %s: %v", h.Root, own, err)
		}
		if err := a.journal.Close(); err != nil {
			t.Fatal(err)
		}
		return a.signer.Verifier(), h.Root.String(), size
	}
	verifier, first, _ := life(1)
	again, second, size := life(2)
	if verifier != again {
		t.Errorf("the key changed from %s to %s over a restart", verifier, again)
	}
	if st, err := os.Stat(filepath.Join(dir, evidenceKeyFile)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v", st.Mode(), err)
	}
	heads := witnessed(t, witness, verifier)
	if len(heads) != 2 || heads[0].Root.String() != first || heads[1].Root.String() != second || heads[1].Size != size {
		t.Errorf("witness file: %+v", heads)
	}
}

// H-029: also while nothing happens a head is signed each minute, so that soon after a time it is shown that nothing was sent in it; the
// witness file gets one of ten.
func TestAnIdleAgentSignsAHeadEachMinute(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a := &Agent{cfg: Config{Data: dir, Policy: list.Lab, Witness: filepath.Join(dir, "witness"), Heads: 10 * time.Second}, id: Identity{Name: "icu"}, log: slog.New(slog.DiscardHandler), headed: make(chan struct{})}
		var err error
		if a.signer, err = openSigner(dir, "icu"); err != nil {
			t.Fatal(err)
		}
		if err := a.openJournal(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 31*time.Minute)
		defer cancel()
		began := time.Now()
		a.keepHeads(ctx)
		if last := a.head.at.Sub(began); last < 30*time.Minute {
			t.Errorf("the newest head is of %s", last)
		}
		if err := a.journal.Close(); err != nil {
			t.Fatal(err)
		}
		if heads := witnessed(t, filepath.Join(dir, "witness"), a.signer.Verifier()); len(heads) != 4 {
			t.Errorf("the witness file has %d heads: %+v", len(heads), heads)
		}
	})
}

func TestAnotherAgentsEvidenceKeyIsNotTaken(t *testing.T) {
	dir := t.TempDir()
	if _, err := openSigner(dir, "icu"); err != nil {
		t.Fatal(err)
	}
	if _, err := openSigner(dir, "ward"); err == nil {
		t.Error("the key of icu signs for ward")
	}
	if err := os.WriteFile(filepath.Join(dir, evidenceKeyFile), []byte("PRIVATE+KEY+icu\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSigner(dir, "icu"); err == nil {
		t.Error("half a key is taken, or replaced by a new one")
	}
}
