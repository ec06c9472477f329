package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/evidence"
)

type evidenceCommands struct {
	Export evidenceExportCommand `cmd:"" help:"Write an agent's records and signed heads into a file."`
	Verify evidenceVerifyCommand `cmd:"" help:"Verify a file of export or prove, without a controller; say where it is wrong."`
	Prove  evidenceProveCommand  `cmd:"" help:"Take one record out of an export, with the proof that it stands under a signed head."`
}

type evidenceExportCommand struct {
	Agent       string `arg:"" help:"Agent."`
	To          string `required:"" help:"File, made with mode 0600."`
	Incarnation string `help:"Journal, 32 hex digits. Defaults to the newest."`
}

// Run exports, and verifies what it has written.
func (c *evidenceExportCommand) Run(e *env) error {
	journal, err := hex.DecodeString(c.Incarnation)
	if err != nil {
		return input("%q is not a journal's name of 32 hex digits", c.Incarnation)
	}
	if err := free(c.To); err != nil {
		return err
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.To, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return input("%v", err)
	}
	uncovered, err := export(cl, f, short(c.Agent), journal)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(c.To))
	}
	v, err := walk(c.To, evidence.Check{})
	if err != nil {
		return fmt.Errorf("what the controller has of agent %s is not what the agent signed; it is in %s: %w", short(c.Agent), c.To, err)
	}
	more := "It has every record that the controller has."
	if uncovered > 0 {
		more = fmt.Sprintf("%d newer records are under no signed head yet, and not in it; an agent that is connected signs one each minute.", uncovered)
	}
	return e.whole(v, fmt.Sprintf("It is in %s. %s", c.To, more), nil)
}

// export writes the file.
func export(cl *client, w io.Writer, agent string, journal []byte) (uncovered uint64, err error) {
	var x *evidence.Exporter
	size, token := uint64(0), ""
	for {
		r, err := call(adminv1.NewEvidenceServiceClient(cl.conn).ListEvidence, &adminv1.ListEvidenceRequest{Agent: within("agents", agent), Incarnation: journal, PageSize: 1000, PageToken: token})
		if err != nil {
			return 0, err
		}
		if x == nil {
			journal = r.GetIncarnation()
			x = evidence.NewExporter(w, agent, hex.EncodeToString(journal), r.GetEvidenceKey())
		}
		if r.GetFirstSeq() != size+1 || len(r.GetRecords()) == 0 {
			return 0, errors.New("the controller left records out")
		}
		heads := r.GetHeads()
		for _, raw := range r.GetRecords() {
			x.Record(raw)
			size++
			for len(heads) > 0 && heads[0].GetSize() <= size {
				x.Head(heads[0].GetNote())
				heads = heads[1:]
			}
		}
		if token = r.GetNextPageToken(); token == "" {
			return r.GetUncovered(), x.End()
		}
	}
}

// whole prints what a whole file has shown, and which other journals a witness tells of.
func (e *env) whole(v evidence.Verified, more string, others []evidence.TreeHead) error {
	doc := map[string]any{"agent": v.Agent, "incarnation": v.Incarnation, "key": v.Verifier, "records": v.Records, "heads": v.Heads,
		"signed_at": v.Last.At, "root": v.Last.Root.String()}
	var other []map[string]any
	for _, h := range others {
		other = append(other, map[string]any{"incarnation": h.Incarnation, "records": h.Size, "signed_at": h.At})
	}
	if other != nil {
		doc["other_journals"] = other
	}
	return e.data(doc, func() {
		e.say("Whole: %d records of agent %s, under %d signed heads; the newest head is over %d records, of %s.", v.Records, v.Agent, v.Heads, v.Last.Size, v.Last.At.Format("2006-01-02 15:04:05Z07:00"))
		e.say("%s", more)
		for _, h := range others {
			e.say("The witness tells of %s. It is not in this file: primum evidence export %s --incarnation %s, and verify that too.", journalOf(h), h.Agent, h.Incarnation)
		}
	})
}

func journalOf(h evidence.TreeHead) string {
	return fmt.Sprintf("another journal of this agent, %s, of at least %d records, the last head of %s", h.Incarnation, h.Size, h.At.Format("2006-01-02 15:04:05Z07:00"))
}

type evidenceVerifyCommand struct {
	File    string `arg:"" help:"File of primum evidence export or prove."`
	Key     string `help:"Public key that the agent signs with, as its own log says it when it is ready (evidence_key=...). Without it the key in the file is believed."`
	Witness string `help:"Witness file of the agent: shows too that nothing was left out at the end."`
}

// Run verifies.
func (c *evidenceVerifyCommand) Run(e *env) error {
	if err := checkKey(c.Key); err != nil {
		return err
	}
	is, err := formOf(c.File)
	if err != nil {
		return err
	}
	if is == proven {
		return c.proof(e)
	}
	check := evidence.Check{Verifier: c.Key}
	words, elsewhere := "The key is the one in the file; compare it with the agent's own.", []evidence.TreeHead(nil)
	if c.Key != "" {
		words = "The key is the one that you gave."
	}
	if c.Witness != "" {
		v, err := walk(c.File, check)
		if err != nil {
			return err
		}
		var others int
		if check.Witness, others, err = witness(c.Witness, v.Verifier); err != nil {
			return err
		}
		if check.Witness, elsewhere = evidence.Sorted(check.Witness, v.Incarnation); len(check.Witness) == 0 {
			return input("%s has no head of this journal, %s. It tells of %s", c.Witness, v.Incarnation, journalOf(elsewhere[len(elsewhere)-1]))
		}
		words += fmt.Sprintf(" The witness has %d heads of it, and %d parts that are none.", len(check.Witness), others)
	}
	v, err := walk(c.File, check)
	if err != nil {
		return err
	}
	return e.whole(v, words+" "+v.Verifier, elsewhere)
}

// proof verifies a single record.
func (c *evidenceVerifyCommand) proof(e *env) error {
	if c.Witness != "" {
		return input("a witness file is held against an export, not against one record")
	}
	f, err := openFile(c.File, "a proof")
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := evidence.ReadProof(f, c.Key)
	if err != nil {
		return err
	}
	words := "The key is the one in the file; compare it with the agent's own: " + p.Verifier
	if c.Key != "" {
		words = "The key is the one that you gave."
	}
	return e.data(map[string]any{"record": p.Record, "agent": p.Head.Agent, "head_size": p.Head.Size, "signed_at": p.Head.At, "key": p.Verifier}, func() {
		e.say("Record %d of agent %s stands under its signed head over %d records, of %s.", p.Record.Seq, p.Head.Agent, p.Head.Size, p.Head.At.Format("2006-01-02 15:04:05Z07:00"))
		e.say("%s", strings.TrimSuffix(string(p.Raw), "\n"))
		e.say("%s", words)
	})
}

type evidenceProveCommand struct {
	File   string `arg:"" help:"File of primum evidence export."`
	Record uint64 `required:"" help:"Number of the record."`
	To     string `required:"" help:"File, made with mode 0600."`
}

// Run proves: once through the file to verify it, once more for the few hashes of the proof.
func (c *evidenceProveCommand) Run(e *env) error {
	if err := free(c.To); err != nil {
		return err
	}
	is, err := formOf(c.File)
	if err != nil {
		return err
	}
	if is == proven {
		return input("%s is the proof of one record already; primum evidence verify reads it. To prove another record give the export.", c.File)
	}
	v, err := walk(c.File, evidence.Check{})
	if err != nil {
		return err
	}
	places, err := evidence.Needed(c.Record, v.Last.Size)
	if err != nil {
		return input("%v", err)
	}
	held := map[int64]tlog.Hash{}
	for _, p := range places {
		held[p] = tlog.Hash{}
	}
	var record []byte
	again, err := walk(c.File, evidence.Check{Each: func(seq uint64, raw []byte, whole []tlog.Hash) {
		if seq == c.Record {
			record = raw
		}
		for level, h := range whole {
			if at := tlog.StoredHashIndex(level, int64(seq>>level)-1); hasPlace(held, at) {
				held[at] = h
			}
		}
	}})
	if err != nil || again.Last != v.Last {
		return errors.Join(err, errors.New("the file changed while it was read"))
	}
	var b strings.Builder
	if err := evidence.WriteProof(&b, v, c.Record, record, tlog.HashReaderFunc(func(places []int64) (out []tlog.Hash, err error) {
		for _, p := range places {
			out = append(out, held[p])
		}
		return out, nil
	})); err != nil {
		return err
	}
	if err := writeNew(c.To, b.String()); err != nil {
		return err
	}
	return e.data(map[string]any{"record": c.Record, "file": c.To, "head_size": v.Last.Size}, func() {
		e.say("%s: record %d of agent %s, with its proof under the head over %d records. primum evidence verify %s reads it.", c.To, c.Record, v.Agent, v.Last.Size, c.To)
	})
}

func hasPlace(m map[int64]tlog.Hash, at int64) bool {
	_, ok := m[at]
	return ok
}
