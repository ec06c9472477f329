package evidence

import (
	"bufio"
	"fmt"
	"io"
)

// The forms of the files that people keep.
const (
	exportForm = "primum-export/1"
	proofForm  = "primum-proof/1"
)

// Exporter writes the records of one journal and its signed heads as a file that anybody can verify (Walk).
// Lengths come before contents, so that any octet stands at one place only.
type Exporter struct {
	w     *bufio.Writer
	size  uint64
	heads uint64
	err   error
}

// NewExporter begins a file about the journal of an agent, whose heads the verifier opens.
func NewExporter(w io.Writer, agent, incarnation, verifier string) *Exporter {
	e := &Exporter{w: bufio.NewWriter(w)}
	e.put("%s\nagent %s\nincarnation %s\nkey %s\n", exportForm, agent, incarnation, verifier)
	return e
}

func (e *Exporter) put(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}

// Record adds the next record.
func (e *Exporter) Record(raw []byte) {
	e.size++
	e.put("record %d %d\n%s", e.size, len(raw), raw)
}

// Head adds the signed head over the records so far.
func (e *Exporter) Head(note []byte) {
	e.heads++
	e.put("head %d %d\n%s", e.size, len(note), note)
}

// End ends the file.
func (e *Exporter) End() error {
	e.put("end %d %d\n", e.size, e.heads)
	if e.err == nil {
		e.err = e.w.Flush()
	}
	if e.err != nil {
		return fmt.Errorf("write export: %w", e.err)
	}
	return nil
}
