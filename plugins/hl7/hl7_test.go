package hl7

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"primum/plugins/sdk"
	"primum/plugins/sdk/sdktest"
)

func question() sdk.HL7Ack {
	return sdk.HL7Ack{SendingApplication: "PRIMUM", SendingFacility: "ST_ELSEWHERE", ReceivingApplication: "ENGINE",
		ReceivingFacility: "HUB", Time: "20261124023000+0000", ControlID: "SP0000000001", VersionID: "2.5.1", ExpectedCode: "AR"}
}

const goldenMessage = "\x0bMSH|^~\\&|PRIMUM|ST_ELSEWHERE|ENGINE|HUB|20261124023000+0000||NMD^N02^NMD_N02|SP0000000001|T|2.5.1\r" +
	"NST|N\r\x1c\r"

// rejects is what HAPI says to an unknown type, with an SFT before it.
const rejects = "\x0bMSH|^~\\&|ENGINE|HUB|PRIMUM|ST_ELSEWHERE|20261124023001.123+0000||ACK^N02^ACK|77|T|2.5.1\r" +
	"SFT|Acme Integration^L|4.2|AcmeBridge|b17\r" +
	"MSA|AR|SP0000000001|No appropriate destination could be found\r" +
	"ERR||MSH^1^9|200^Unsupported message type^HL70357|E|||free text\r\x1c\r"

func TestMessageIsTheApprovedTemplate(t *testing.T) {
	c, err := Probe{}.Begin(question())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(goldenMessage, string(c.Next())); d != "" {
		t.Error(d)
	}
	if again := c.Next(); again != nil {
		t.Errorf("a second message is proposed: %q", again)
	}
}

func TestQuestionsThatCannotBeBuiltAreRefused(t *testing.T) {
	for name, change := range map[string]func(*sdk.HL7Ack){
		"no application":   func(q *sdk.HL7Ack) { q.SendingApplication = "" },
		"separator":        func(q *sdk.HL7Ack) { q.SendingFacility = "A|B" },
		"component":        func(q *sdk.HL7Ack) { q.ReceivingApplication = "A^B" },
		"escape":           func(q *sdk.HL7Ack) { q.ReceivingFacility = `A\B` },
		"new segment":      func(q *sdk.HL7Ack) { q.ControlID = "1\rNCK" },
		"end of block":     func(q *sdk.HL7Ack) { q.ControlID = "1\x1c" },
		"not ASCII":        func(q *sdk.HL7Ack) { q.SendingFacility = "Städt" },
		"long control id":  func(q *sdk.HL7Ack) { q.ControlID = strings.Repeat("1", 21) },
		"no expected code": func(q *sdk.HL7Ack) { q.ExpectedCode = "" },
		"unknown code":     func(q *sdk.HL7Ack) { q.ExpectedCode = "XX" },
		"more than 512 octets": func(q *sdk.HL7Ack) {
			q.SendingFacility, q.ReceivingFacility, q.ReceivingApplication = strings.Repeat("A", 180), strings.Repeat("B", 180), strings.Repeat("C", 180)
		},
	} {
		q := question()
		change(&q)
		if _, err := (Probe{}).Begin(q); err == nil {
			t.Errorf("%s: began", name)
		}
	}
}

func TestExpectedRejectionIsTheAnswer(t *testing.T) {
	got := judge(question(), []byte(rejects))
	want := sdk.Result{
		Status: sdk.Answered,
		Facts: []sdk.Fact{
			{Field: sdk.FieldSoftware, Value: "Acme Integration", Origin: "SFT-1"},
			{Field: sdk.FieldSoftware, Value: "4.2", Origin: "SFT-2"},
			{Field: sdk.FieldSoftware, Value: "AcmeBridge", Origin: "SFT-3"},
		},
		Attributes: []sdk.Attribute{
			{Name: "hl7.msa1", Value: "AR"}, {Name: "hl7.err", Value: "200"},
			{Name: "hl7.version_id", Value: "2.5.1"}, {Name: "hl7.time", Value: "20261124023001.123+0000"},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The table of H8: every code, with every code expected.
func TestOnlyTheExpectedCodeIsAnAnswer(t *testing.T) {
	codes := []string{"AA", "AE", "AR", "CA", "CE", "CR"}
	for _, expected := range codes {
		for _, code := range codes {
			q := question()
			q.ExpectedCode = expected
			want := sdk.Unexpected
			if code == expected {
				want = sdk.Answered
			}
			if got := judge(q, []byte(strings.Replace(rejects, "MSA|AR", "MSA|"+code, 1))); got.Status != want {
				t.Errorf("%s where %s is expected: %v, want %v", code, expected, got.Status, want)
			}
		}
	}
}

func TestRepliesAreJudged(t *testing.T) {
	swap := func(old, now string) string { return strings.Replace(rejects, old, now, 1) }
	for _, c := range []struct {
		name, reply string
		want        sdk.Status
	}{
		{"other separators", "\x0bMSH#*!/%#ENGINE#HUB#PRIMUM#X#20261124##ACK*N02#77#T#2.5.1\rMSA#AR#SP0000000001\r\x1c\r", sdk.Answered},
		{"five encoding characters", swap(`^~\&`, `^~\&#`), sdk.Answered},
		{"no carriage return after the last segment", "\x0bMSH|^~\\&|||||||ACK|1|T|2.3\rMSA|AR|SP0000000001\x1c\r", sdk.Answered},
		{"another control id", swap("SP0000000001", "SP0000000002"), sdk.Malformed},
		{"control id with a blank", swap("SP0000000001", "SP0000000001 "), sdk.Malformed},
		{"no control id", swap("MSA|AR|SP0000000001", "MSA|AR"), sdk.Malformed},
		{"unknown code", swap("MSA|AR", "MSA|XX"), sdk.Malformed},
		{"lower case code", swap("MSA|AR", "MSA|ar"), sdk.Malformed},
		{"no MSA", swap("MSA|", "ZSA|"), sdk.Malformed},
		{"two MSA", swap("ERR|", "MSA|"), sdk.Malformed},
		{"another message", swap("ACK^N02", "ADT^A01"), sdk.Unexpected},
		{"second header", swap("ERR|", "MSH|"), sdk.Malformed},
		{"no header", swap("MSH|", "MSX|"), sdk.Malformed},
		{"the same separator twice", swap(`^~\&`, `^^\&`), sdk.Malformed},
		{"a letter for a separator", swap(`^~\&`, `A~\&`), sdk.Malformed},
		{"no start of block", rejects[1:], sdk.Malformed},
		{"start of block inside", swap("free", "\x0b"), sdk.Malformed},
		{"end of block inside", swap("free", "\x1c"), sdk.Malformed},
		{"two frames", rejects + rejects, sdk.Malformed},
		{"too long", swap("free", strings.Repeat("x", 4096)), sdk.Malformed},
		{"too many segments", swap("ERR|", strings.Repeat("ZZZ|\r", 70)+"ERR|"), sdk.Malformed},
		{"empty frame", "\x0b\x1c\r", sdk.Malformed},
		{"nothing", "", sdk.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judge(question(), []byte(c.reply)); got.Status != c.want {
				t.Errorf("%q is %v (%s), want %v", c.reply, got.Status, got.Detail, c.want)
			}
		})
	}
}

// H11, H12: what an engine puts beside the fields that are read leaves no trace.
func TestNothingElseOfTheReplyIsKept(t *testing.T) {
	const canary = "DOE^JANE"
	reply := strings.NewReplacer("ENGINE", canary, "No appropriate destination could be found", canary, "free text", canary,
		"200^", canary+"^", "77", canary, "Unsupported message type", canary).Replace(rejects)
	reply = strings.Replace(reply, "ERR|", "PID|1||"+canary+"\rERR|", 1)
	reply = strings.Replace(reply, "20261124023001.123+0000", canary, 1)
	reply = strings.Replace(reply, "|2.5.1\r", "|"+canary+"\r", 1)
	o := sdktest.InProcess(t, Probe{}).Ask(t, question(), sdktest.Peer{sdktest.Reply([]byte(reply))})
	if o.Result.Status != sdk.Answered {
		t.Errorf("%v: %s", o.Result.Status, o.Result.Detail)
	}
	for _, f := range o.Result.Facts {
		if !strings.HasPrefix(f.Origin, "SFT-") {
			t.Errorf("fact %v", f)
		}
	}
	texts := []string{o.Result.Detail}
	for _, a := range o.Result.Attributes {
		texts = append(texts, a.Value)
	}
	if slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "DOE") || strings.Contains(s, "JANE") }) {
		t.Errorf("kept: %q", texts)
	}
}

func TestErrorCodeOfOldVersionsIsRead(t *testing.T) {
	got := judge(question(), []byte("\x0bMSH|^~\\&|||||||ACK|1|T|2.3\rMSA|AR|SP0000000001\rERR|MSH^1^9^200&Unsupported&HL70357\r\x1c\r"))
	if !slices.Contains(got.Attributes, sdk.Attribute{Name: "hl7.err", Value: "200"}) {
		t.Errorf("attributes %v", got.Attributes)
	}
}

func answering() sdktest.Peer {
	return sdktest.Peer{sdktest.Recv([]byte(goldenMessage)), sdktest.Reply([]byte(rejects))}
}

func TestProbeConforms(t *testing.T) {
	sdktest.Conform(t, Probe{}, sdktest.Example{Question: question(), Peer: answering()})
}

func TestRealProcessAsksAndReads(t *testing.T) {
	h := sdktest.Built(t, "./cmd/primum-probe-hl7")
	if d := h.Describe(t); d.Name != "hl7" {
		t.Errorf("describes itself as %v", d)
	}
	if o := h.Ask(t, question(), answering()); o.Err != nil || o.Result.Status != sdk.Answered {
		t.Errorf("outcome %+v", o)
	}
}

func FuzzAck(f *testing.F) {
	q := question()
	f.Fuzz(func(t *testing.T, b []byte) {
		var r sdk.Result
		sdktest.Bounded(t, len(b), func() { r = judge(q, b) })
		if r.Status == sdk.Answered && !bytes.Contains(b, []byte(q.ControlID)) {
			t.Errorf("answered by an acknowledgment that is not ours: %q", b)
		}
	})
}
