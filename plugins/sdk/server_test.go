package sdk_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/plugins/sdk"
	"primum/plugins/sdk/sdktest"
)

// scripted is a probe that says and does what the test wants.
type scripted struct {
	next   [][]byte
	result sdk.Result
	panics bool
	read   []sdk.Reply
	ending sdk.Ending
	begun  sdk.Question
}

func (*scripted) Describe() sdk.Description {
	return sdk.Description{Name: "scripted", Version: "1", Kinds: []string{sdk.KindSNMPGet, sdk.KindDICOMEcho, sdk.KindHL7Ack}, Attributes: []sdk.Declaration{
		{Name: "a.b", Kind: sdk.AttributeText, MaxLength: 255},
		{Name: "a.hours", Kind: sdk.AttributeNumber, Unit: "h", MaxLength: 6},
		{Name: "a.code", Kind: sdk.AttributeCode, MaxLength: 4},
		{Name: "a.value.*", Kind: sdk.AttributeText, MaxLength: 5},
	}}
}

func (s *scripted) Begin(q sdk.Question) (sdk.Conversation, error) { s.begun = q; return s, nil }

func (s *scripted) Next() []byte {
	if len(s.next) == 0 {
		return nil
	}
	m := s.next[0]
	s.next = s.next[1:]
	return m
}

func (s *scripted) Read(r sdk.Reply) {
	if s.panics {
		panic("index out of range")
	}
	s.read = append(s.read, r)
}

func (s *scripted) Result(e sdk.Ending) sdk.Result { s.ending = e; return s.result }

func TestQuestionsReachTheProbeWhole(t *testing.T) {
	for _, q := range []sdk.Question{
		sdk.SNMPGet{Version: sdk.SNMPv2c, OIDs: []string{"1.3.6.1.2.1.1.1.0", "1.3"}, RequestID: 1<<31 - 1},
		sdk.DICOMEcho{CalledAE: "A", CallingAE: "B", ImplementationClassUID: "1.2", ImplementationVersionName: "V", MaxPDULength: 16384, MessageID: 65535},
		sdk.HL7Ack{SendingApplication: "1", SendingFacility: "2", ReceivingApplication: "3", ReceivingFacility: "4",
			Time: "5", ControlID: "6", VersionID: "7", ExpectedCode: "8"},
	} {
		s := &scripted{result: sdk.Result{Status: sdk.NoReply}}
		if o := sdktest.InProcess(t, s).Ask(t, q, nil); o.Err != nil {
			t.Fatal(o.Err)
		}
		if d := cmp.Diff(q, s.begun); d != "" {
			t.Error(d)
		}
	}
}

func TestRepliesAndResultsPassWhole(t *testing.T) {
	ticks := uint32(0)
	s := &scripted{next: [][]byte{{1}, {2, 3}}, result: sdk.Result{
		Status:     sdk.Declined,
		Facts:      []sdk.Fact{{Field: sdk.FieldSerial, Value: "s\r\n1", Origin: "o"}, {Field: sdk.FieldName, Value: "\x1b", Origin: "o"}},
		Vitals:     sdk.Vitals{UptimeTicks: &ticks},
		Detail:     strings.Repeat("d", 600),
		Attributes: []sdk.Attribute{{Name: "a.b", Value: strings.Repeat("ü", 300)}},
	}}
	o := sdktest.InProcess(t, s).Ask(t, sdk.SNMPGet{Version: sdk.SNMPv2c}, sdktest.Peer{
		sdktest.Recv([]byte{1}), sdktest.Reply([]byte{9}), sdktest.Recv([]byte{2, 3}), sdktest.Close(sdk.EndClosedByDevice)})
	want := sdk.Result{
		Status:     sdk.Declined,
		Facts:      []sdk.Fact{{Field: sdk.FieldSerial, Value: "s1", Origin: "o"}}, // nothing is left of the other
		Vitals:     sdk.Vitals{UptimeTicks: &ticks},
		Detail:     strings.Repeat("d", 512),
		Attributes: []sdk.Attribute{{Name: "a.b", Value: strings.Repeat("ü", 255)}},
	}
	if d := cmp.Diff(want, o.Result); d != "" {
		t.Error(d)
	}
	if len(s.read) != 1 || s.read[0].Message[0] != 9 || s.read[0].Elapsed.Microseconds() != 1500 || s.ending != sdk.EndClosedByDevice {
		t.Errorf("read %v, ending %v", s.read, s.ending)
	}
}

func TestAttributesAreToldAsTheyAreDeclared(t *testing.T) {
	s := &scripted{result: sdk.Result{Status: sdk.Answered, Attributes: []sdk.Attribute{{Name: "a.hours", Value: "-12.5"}, {Name: "a.code", Value: "2/6"}, {Name: "a.value.1.3.6", Value: "longer than five"}}}}
	h := sdktest.InProcess(t, s)
	o := h.Ask(t, sdk.SNMPGet{Version: sdk.SNMPv2c}, nil)
	if d := cmp.Diff([]sdk.Attribute{{Name: "a.hours", Value: "-12.5"}, {Name: "a.code", Value: "2/6"}, {Name: "a.value.1.3.6", Value: "longe"}}, o.Result.Attributes); d != "" || o.Err != nil {
		t.Errorf("%v, %s", o.Err, d)
	}
	if d := cmp.Diff(s.Describe(), h.Describe(t)); d != "" {
		t.Error(d)
	}
}

func TestFaultsOfAProbeEndTheStreamAndClaimNothing(t *testing.T) {
	facts := make([]sdk.Fact, 65)
	for i := range facts {
		facts[i] = sdk.Fact{Field: sdk.FieldName, Value: "v", Origin: "o"}
	}
	fine := sdk.Result{Status: sdk.Answered}
	for name, s := range map[string]*scripted{
		"no status":           {},
		"status that is none": {result: sdk.Result{Status: sdk.NoReply + 1}},
		"65 facts":            {result: sdk.Result{Status: sdk.Answered, Facts: facts}},
		"33 attributes":       {result: sdk.Result{Status: sdk.Answered, Attributes: slices.Repeat([]sdk.Attribute{{Name: "a.b", Value: "v"}}, 33)}},
		"undeclared":          {result: sdk.Result{Status: sdk.Answered, Attributes: []sdk.Attribute{{Name: "a.c", Value: "v"}}}},
		"words for a number":  {result: sdk.Result{Status: sdk.Answered, Attributes: []sdk.Attribute{{Name: "a.hours", Value: "many"}}}},
		"a number too long":   {result: sdk.Result{Status: sdk.Answered, Attributes: []sdk.Attribute{{Name: "a.hours", Value: "1234567"}}}},
		"words for a code":    {result: sdk.Result{Status: sdk.Answered, Attributes: []sdk.Attribute{{Name: "a.code", Value: "a b"}}}},
		"no object":           {result: sdk.Result{Status: sdk.Answered, Attributes: []sdk.Attribute{{Name: "a.value.x", Value: "v"}}}},
		"unknown field":       {result: sdk.Result{Status: sdk.Answered, Facts: []sdk.Fact{{Field: "colour", Value: "v", Origin: "o"}}}},
		"fact without origin": {result: sdk.Result{Status: sdk.Answered, Facts: []sdk.Fact{{Field: sdk.FieldName, Value: "v"}}}},
		"unnamed attribute":   {result: sdk.Result{Status: sdk.Answered, Attributes: []sdk.Attribute{{Value: "v"}}}},
		"message of nothing":  {next: [][]byte{{}}, result: fine},
		"message of 1025":     {next: [][]byte{make([]byte, 1025)}, result: fine},
		"panic":               {next: [][]byte{{1}}, panics: true, result: fine},
	} {
		o := sdktest.InProcess(t, s).Ask(t, sdk.SNMPGet{Version: sdk.SNMPv2c}, sdktest.Peer{sdktest.Reply([]byte{1})}[:min(1, len(s.next))])
		if status.Code(o.Err) != codes.Internal || o.Result.Status != 0 {
			t.Errorf("%s: ended with %v and %v", name, o.Err, o.Result.Status)
		}
	}
}

func TestTextIsSafeToShow(t *testing.T) {
	for in, want := range map[string]string{
		"Acme pump 3.1":                       "Acme pump 3.1",
		"Zürich ☃ 日本":                         "Zürich ☃ 日本",
		"a\x00b\tc\r\nd\x7fe":                 "abcde",
		"a\u0085b\u009bc":                     "abc",
		"a\u202eb\u2066c\u200fd":              "abcd",
		"a\u2028b\ufeffc":                     "abc",
		"a\xffb\xc3":                          `a\xffb\xc3`,
		"\x1b]0;title\x07":                    "]0;title",
		strings.Repeat("é", 300):              strings.Repeat("é", 255),
		strings.Repeat("a", 253) + "\xff\xff": strings.Repeat("a", 253),
	} {
		if got := sdk.Text([]byte(in)); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		s := sdk.Text(b)
		if n := len([]rune(s)); n > 255 {
			t.Errorf("%d characters", n)
		}
		if again := sdk.Text([]byte(s)); again != s {
			t.Errorf("%q is not yet safe: %q", s, again)
		}
		for _, r := range s {
			if r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0x202e || r == '\uFFFD' && !strings.ContainsRune(string(b), '\uFFFD') {
				t.Errorf("%q holds %U", s, r)
			}
		}
	})
}
