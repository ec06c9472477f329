package sdktest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/plugins/sandbox"
	"primum/plugins/sandbox/confine"
	"primum/plugins/sdk"
)

// Fault names what was wrong with a plugin. Reports cite it, so that a name never changes its meaning.
type Fault string

// The faults that Certify looks for.
const (
	FaultDescription  Fault = "description"       // it does not say what it speaks, or not always the same
	FaultUntested     Fault = "untested-question" // there is no transcript for a question that it speaks
	FaultUnknown      Fault = "unknown-question"  // it takes a question that it does not speak
	FaultExtra        Fault = "extra-message"
	FaultOID          Fault = "unapproved-oid"
	FaultRelease      Fault = "missing-release"
	FaultMissing      Fault = "missing-message"
	FaultSecond       Fault = "second-connection" // it begins again when the conversation is over
	FaultOversize     Fault = "oversize"
	FaultOrder        Fault = "wrong-order"
	FaultOther        Fault = "other-message" // octets that are not those of the transcript
	FaultRefusal      Fault = "ignored-refusal"
	FaultAfterEnd     Fault = "message-after-end"
	FaultHang         Fault = "hang"
	FaultPanic        Fault = "panic"
	FaultLie          Fault = "lying-result" // a status or a fact that the replies do not tell
	FaultUndeclared   Fault = "undeclared-result"
	FaultContract     Fault = "contract" // a frame or an error that has no place
	FaultUnrepeatable Fault = "not-repeatable"
)

// Finding is one fault in one check.
type Finding struct {
	Fault  Fault  `json:"fault"`
	Check  string `json:"check"`
	Detail string `json:"detail"`
}

// Check is one part of the suite, with what it took.
type Check struct {
	Name          string `json:"name"`
	Conversations int    `json:"conversations"`
	Findings      int    `json:"findings"`
}

// Report is what the suite has seen of one binary. It passed when there is no finding.
type Report struct {
	Schema      string            `json:"schema"`
	At          time.Time         `json:"at"`
	SHA256      string            `json:"sha256"` // of the binary
	Plugin      string            `json:"plugin"`
	Version     string            `json:"version"`
	Kinds       []string          `json:"kinds"`
	Sandbox     string            `json:"sandbox"`     // level at which it ran
	Transcripts map[string]string `json:"transcripts"` // name and SHA-256 of each
	Checks      []Check           `json:"checks"`
	Findings    []Finding         `json:"findings"`
	Passed      bool              `json:"passed"`
}

const reportSchema = "primum-plugin-report/1"

// Subject is what to certify.
type Subject struct {
	// Binary is the path of the plugin.
	Binary string
	// Transcripts by name; each question that the plugin speaks needs one, that ends answered.
	Transcripts map[string]Transcript
	// Confinement is what this machine was proven to be able to; see sandbox.Prove. The author's own plugin runs
	// on the author's machine at any level; the report says which it was.
	Confinement confine.Proof
	// Step is how long the plugin may take for one frame. Defaults to 3 s, as in the agent.
	Step time.Duration
}

// Certify runs the conformance suite and the hostile replies against a binary in the sandbox. An error says that
// the suite could not be run; what is wrong with the plugin stands in the report.
func Certify(ctx context.Context, s Subject) (Report, error) {
	binary, err := os.ReadFile(s.Binary)
	if err != nil {
		return Report{}, err
	}
	dir, err := os.MkdirTemp("", "certify")
	if err != nil {
		return Report{}, err
	}
	defer os.RemoveAll(dir)
	if s.Step <= 0 {
		s.Step = 3 * time.Second
	}
	sum := sha256.Sum256(binary)
	b := &bench{ctx: ctx, step: s.Step, spec: sandbox.Spec{Path: s.Binary, SHA256: sum, Dir: dir, Trust: sandbox.BuiltIn, Confinement: s.Confinement, Unconfined: true}}
	defer b.close()
	b.report = Report{Schema: reportSchema, At: time.Now().UTC().Truncate(time.Second), SHA256: hex.EncodeToString(sum[:]), Sandbox: string(s.Confinement.Level()),
		Transcripts: map[string]string{}, Findings: []Finding{}}
	b.check("describes itself", b.describes)
	if b.report.Plugin != "" {
		b.check("refuses unknown questions", b.refusesUnknown)
		for _, name := range sorted(s.Transcripts) {
			tr := s.Transcripts[name]
			text, err := tr.Encode("")
			if err != nil {
				return Report{}, err
			}
			b.report.Transcripts[name] = fmt.Sprintf("%x", sha256.Sum256(text))
			b.transcript(filepath.Base(name), tr)
		}
		b.check("has a transcript for each question", func() { b.covered(s.Transcripts) })
	}
	b.report.Passed = len(b.report.Findings) == 0
	return b.report, ctx.Err()
}

func sorted(all map[string]Transcript) []string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (b *bench) transcript(name string, tr Transcript) {
	for _, c := range []struct {
		name string
		run  func(Transcript)
	}{
		{"is answered as recorded", b.replays}, {"is asked in the same octets again", b.repeats}, {"ends wherever it is closed", b.closes},
		{"believes no reply cut short", b.truncates}, {"believes no garbage", b.garbage}, {"survives spoilt replies", b.spoils},
	} {
		if b.hung {
			return // it did not pass, and would hang again at each reply
		}
		b.check(name+": "+c.name, func() { c.run(tr) })
	}
}

func (b *bench) describes() {
	first, err := b.describe()
	if err != nil {
		b.found(FaultDescription, err.Error())
		return
	}
	second, err := b.describe()
	switch {
	case err != nil:
		b.found(FaultDescription, err.Error())
	case fmt.Sprint(first) != fmt.Sprint(second):
		b.found(FaultDescription, "it describes itself in two ways")
	case !regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`).MatchString(first.Name), !regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$`).MatchString(first.Version):
		b.found(FaultDescription, "name or version is not a short word")
	}
	for i, k := range first.Kinds {
		if k == "" || slices.Contains(first.Kinds[:i], k) {
			b.found(FaultDescription, "a kind is empty or named twice")
		}
	}
	b.description = first
	b.report.Plugin, b.report.Version, b.report.Kinds = sdk.Text([]byte(first.Name)), sdk.Text([]byte(first.Version)), first.Kinds
}

func (b *bench) refusesUnknown() {
	for _, q := range []sdk.Question{sdk.SNMPGet{Version: sdk.SNMPv2c, OIDs: []string{"1.3.6.1.2.1.1.1.0"}, RequestID: 1}, sdk.DICOMEcho{CalledAE: "A", CallingAE: "B", MessageID: 1},
		sdk.HL7Ack{ControlID: "1"}, sdk.Vendor{Name: "tcp.nobody.nothing"}} {
		if slices.Contains(b.description.Kinds, q.Kind()) {
			continue
		}
		o := b.converse(q, func(int, []byte) ([]byte, sdk.Ending) { return nil, sdk.EndTimeout })
		var f *failure
		if !errors.As(o.err, &f) || f.code != codes.Unimplemented || len(o.sent) != 0 {
			b.found(FaultUnknown, fmt.Sprintf("%s: it does not end with UNIMPLEMENTED before a message", q.Kind()))
		}
	}
}

func (b *bench) covered(all map[string]Transcript) {
	for _, k := range b.description.Kinds {
		ok := false
		for _, tr := range all {
			ok = ok || tr.Question.Kind() == k && tr.Status == sdk.Answered
		}
		if !ok {
			b.found(FaultUntested, sdk.Text([]byte(k)))
		}
	}
}

// failure is how a conversation ended without a result.
type failure struct {
	fault Fault
	code  codes.Code
	words string
}

func (f *failure) Error() string { return f.words }

// failed sorts the error of a stream.
func failed(err error, gone, late bool) *failure {
	words := sdk.Text([]byte(status.Convert(err).Message()))
	f := &failure{FaultContract, status.Code(err), words}
	switch {
	case late:
		f.fault, f.words = FaultHang, "no frame in time"
	case gone:
		f.fault, f.words = FaultPanic, "the process ended"
	case regexp.MustCompile(`^probe panicked`).MatchString(words):
		f.fault = FaultPanic
	case regexp.MustCompile(`^probe built a message of`).MatchString(words), f.code == codes.ResourceExhausted:
		f.fault = FaultOversize
	case regexp.MustCompile(`^check result`).MatchString(words):
		f.fault = FaultUndeclared
	}
	return f
}
