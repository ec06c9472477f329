package sdktest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"primum/plugins/sdk"
	"primum/plugins/sdk/sdktest"
)

const pingPong = `# a comment
question snmp.get {"Version":2,"OIDs":["1.3"],"RequestID":1}
send 7069 6e67
reply 706f6e67
status answered
`

func TestTranscriptIsWrittenAsItWasRead(t *testing.T) {
	for _, text := range []string{pingPong,
		"question tcp.aldane.status\nsend 00\nreply 01\nsend 02\nsilent\nstatus no reply\nfact serial \"a \\\"b\\\"\" \"identity 3\"\n",
		"question hl7.ack {}\nsend 00\nreply 01\nstatus declined\n", "question dicom.echo {\"MessageID\":7}\nsend 00\nreply 01\nstatus busy\n"} {
		tr, err := sdktest.ParseTranscript([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		again, err := tr.Encode("a comment\nof two lines")
		if err != nil {
			t.Fatal(err)
		}
		back, err := sdktest.ParseTranscript(again)
		if d := cmp.Diff(tr, back); err != nil || d != "" {
			t.Errorf("%v %s", err, d)
		}
	}
}

func TestWhatIsNoTranscriptIsNamedByItsLine(t *testing.T) {
	for name, c := range map[string][2]string{
		"a message first":         {"question", "# question"},
		"an unknown question":     {`question snmp.get {"Version":2,`, `question snmp.get {"Sets":2,`},
		"two questions":           {"send 7069 6e67", "question tcp.a.b"},
		"no hex":                  {"706f6e67", "pong"},
		"an empty message":        {"7069 6e67", ""},
		"two replies":             {"status", "reply 00\nstatus"},
		"a message without reply": {"reply 706f6e67", "send 00"},
		"an unknown status":       {"answered", "well"},
		"no status":               {"status answered", ""},
		"an unknown word":         {"reply", "receive"},
		"a fact without origin":   {"status", "fact serial \"x\"\nstatus"},
		"a vendor's parameters":   {`snmp.get {"Version":2,"OIDs":["1.3"],"RequestID":1}`, "tcp.a.b {}"},
		"thirteen messages":       {"status", strings.Repeat("send 00\nreply 00\n", 12) + "status"},
	} {
		if _, err := sdktest.ParseTranscript([]byte(strings.Replace(pingPong, c[0], c[1], 1))); !errors.Is(err, sdktest.ErrTranscript) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAConversationIsRecordedAndPlayedAgain(t *testing.T) {
	h := sdktest.InProcess(t, echo{})
	q := sdk.SNMPGet{Version: sdk.SNMPv2c, OIDs: []string{"1.3"}, RequestID: 1}
	tr := h.Record(t, q, func(message []byte) ([]byte, error) {
		if string(message) != "ping" {
			t.Errorf("message %q", message)
		}
		return []byte("pong"), nil
	})
	want, err := sdktest.ParseTranscript([]byte(pingPong))
	if d := cmp.Diff(want, tr); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	h.Replay(t, tr)
	silent := h.Record(t, q, func([]byte) ([]byte, error) { return nil, errors.New("no reply") })
	if silent.Status != sdk.NoReply || len(silent.Exchanges) != 1 || silent.Exchanges[0].Reply != nil {
		t.Errorf("%+v", silent)
	}
	h.Replay(t, silent)
}

func FuzzTranscript(f *testing.F) {
	f.Add([]byte(pingPong))
	f.Fuzz(func(t *testing.T, text []byte) {
		var tr sdktest.Transcript
		var err error
		sdktest.Bounded(t, 16*len(text), func() { tr, err = sdktest.ParseTranscript(text) })
		if err != nil {
			return
		}
		out, err := tr.Encode("")
		if err != nil {
			t.Fatal(err)
		}
		back, err := sdktest.ParseTranscript(out)
		if again, encodeErr := back.Encode(""); err != nil || encodeErr != nil || !bytes.Equal(out, again) {
			t.Errorf("%q is written as %q, and that as %q: %v", text, out, again, err)
		}
	})
}
