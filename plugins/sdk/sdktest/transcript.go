package sdktest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"primum/plugins/sdk"
)

// Transcript is one conversation as it was: what was asked, every message and its reply, and what the probe
// made of it. It is a text of lines, so that a person can read and change it:
//
//	# a Vela Rack 2, on the bench, 2026-11-27
//	question tcp.aldane.status
//	send 023031490348
//	reply 02303149...
//	status answered
//	fact serial "AR-2291" "identity 3"
//
// A line "silent" in place of a reply says that none came. Hex may have white space in it.
type Transcript struct {
	Question  sdk.Question
	Exchanges []Exchange
	Status    sdk.Status
	Facts     []sdk.Fact
}

// Exchange is one message, and the reply to it; nil: none came.
type Exchange struct{ Send, Reply []byte }

// ErrTranscript says that a text is no transcript.
var ErrTranscript = errors.New("not a transcript")

const (
	maxTranscript = 1 << 20 // octets of the text
	maxExchanges  = 12
)

// ReadTranscript reads a file of the test's own.
func ReadTranscript(t testing.TB, path string) Transcript {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := ParseTranscript(text)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return tr
}

// ParseTranscript reads the text. An error wraps ErrTranscript and names the line.
func ParseTranscript(text []byte) (Transcript, error) {
	var out Transcript
	if len(text) > maxTranscript {
		return out, fmt.Errorf("%w: more than %d octets", ErrTranscript, maxTranscript)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if err := out.line(word, strings.TrimSpace(rest)); err != nil {
			return Transcript{}, fmt.Errorf("%w: line %d: %w", ErrTranscript, n, err)
		}
	}
	if out.Question == nil || len(out.Exchanges) == 0 || out.Status == 0 {
		return Transcript{}, fmt.Errorf("%w: it has a question, a message and a status at least", ErrTranscript)
	}
	return out, nil
}

func (tr *Transcript) line(word, rest string) (err error) {
	if word != "question" && tr.Question == nil {
		return errors.New("the question comes first")
	}
	last := len(tr.Exchanges) - 1
	switch word {
	case "question":
		if tr.Question != nil {
			return errors.New("there is one question")
		}
		kind, parameters, _ := strings.Cut(rest, " ")
		tr.Question, err = parseQuestion(kind, parameters)
		return err
	case "send":
		if len(tr.Exchanges) == maxExchanges || last >= 0 && tr.Exchanges[last].Reply == nil {
			return fmt.Errorf("no message may stand here: each has its reply, and there are at most %d", maxExchanges)
		}
		message, err := octets(rest)
		tr.Exchanges = append(tr.Exchanges, Exchange{Send: message})
		return err
	case "reply":
		if last < 0 || tr.Exchanges[last].Reply != nil {
			return errors.New("a reply follows a message")
		}
		tr.Exchanges[last].Reply, err = octets(rest)
		return err
	case "silent":
		if last < 0 || tr.Exchanges[last].Reply != nil {
			return errors.New("silence follows a message")
		}
		return nil
	case "status":
		for s := sdk.Answered; s <= sdk.NoReply; s++ {
			if s.String() == rest {
				tr.Status = s
				return nil
			}
		}
		return fmt.Errorf("there is no status %q", rest)
	case "fact":
		var f sdk.Fact
		if _, err := fmt.Sscanf(rest, "%s %q %q", &f.Field, &f.Value, &f.Origin); err != nil {
			return fmt.Errorf("fact: a field, a value and an origin, both in quotes: %w", err)
		}
		tr.Facts = append(tr.Facts, f)
		return nil
	}
	return fmt.Errorf("there is no word %q", word)
}

func octets(text string) ([]byte, error) {
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err == nil && len(b) == 0 {
		err = errors.New("no octet")
	}
	return b, err
}

func parseQuestion(kind, parameters string) (sdk.Question, error) {
	strict := func(into any) error {
		d := json.NewDecoder(strings.NewReader(parameters))
		d.DisallowUnknownFields()
		return d.Decode(into)
	}
	var err error
	switch kind {
	case sdk.KindSNMPGet:
		var q sdk.SNMPGet
		err = strict(&q)
		return q, err
	case sdk.KindDICOMEcho:
		var q sdk.DICOMEcho
		err = strict(&q)
		return q, err
	case sdk.KindHL7Ack:
		var q sdk.HL7Ack
		err = strict(&q)
		return q, err
	}
	if kind == "" || parameters != "" {
		return nil, errors.New("a question has a kind; one of a vendor's own has no parameters")
	}
	return sdk.Vendor{Name: kind}, nil
}

// Encode writes the text, with a comment of one or more lines on top.
func (tr Transcript) Encode(comment string) ([]byte, error) {
	var b bytes.Buffer
	for line := range strings.Lines(comment) {
		b.WriteString("# " + strings.TrimSpace(line) + "\n")
	}
	if _, vendor := tr.Question.(sdk.Vendor); vendor {
		fmt.Fprintf(&b, "question %s\n", tr.Question.Kind())
	} else {
		parameters, err := json.Marshal(tr.Question)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "question %s %s\n", tr.Question.Kind(), parameters)
	}
	for _, e := range tr.Exchanges {
		fmt.Fprintf(&b, "send %x\n", e.Send)
		if e.Reply == nil {
			b.WriteString("silent\n")
		} else {
			fmt.Fprintf(&b, "reply %x\n", e.Reply)
		}
	}
	fmt.Fprintf(&b, "status %s\n", tr.Status)
	for _, f := range tr.Facts {
		fmt.Fprintf(&b, "fact %s %s %s\n", f.Field, strconv.Quote(f.Value), strconv.Quote(f.Origin))
	}
	return b.Bytes(), nil
}

// Example is the transcript as Conform and Ask take it: the messages must come as they were recorded.
func (tr Transcript) Example() Example {
	e := Example{Question: tr.Question}
	for _, x := range tr.Exchanges {
		e.Peer = append(e.Peer, Recv(x.Send))
		if x.Reply != nil {
			e.Peer = append(e.Peer, Reply(x.Reply))
		}
	}
	return e
}

// Replay plays the device of the transcript, and fails the test when a message, the status or a fact is another
// one than was recorded.
func (h *Host) Replay(t testing.TB, tr Transcript) Outcome {
	t.Helper()
	e := tr.Example()
	o := h.Ask(t, e.Question, e.Peer)
	if o.Err != nil || o.Result.Status != tr.Status || !slices.Equal(o.Result.Facts, tr.Facts) {
		t.Errorf("ended with %v, %v and %v; recorded were %v and %v", o.Err, o.Result.Status, o.Result.Facts, tr.Status, tr.Facts)
	}
	return o
}

// Record holds one conversation with a device that exchange speaks to, for example one on an author's bench, and
// returns it. exchange sends a message and returns the whole reply.
func (h *Host) Record(t testing.TB, q sdk.Question, exchange func([]byte) ([]byte, error)) Transcript {
	t.Helper()
	tr := Transcript{Question: q}
	o := h.converse(t, q, func(message []byte) (reply []byte, end sdk.Ending) {
		reply, err := exchange(message)
		if err != nil {
			tr.Exchanges = append(tr.Exchanges, Exchange{Send: message})
			return nil, sdk.EndTimeout
		}
		tr.Exchanges = append(tr.Exchanges, Exchange{message, reply})
		return reply, 0
	})
	if o.Err != nil {
		t.Errorf("the conversation ended with %v", o.Err)
	}
	tr.Status, tr.Facts = o.Result.Status, o.Result.Facts
	return tr
}
