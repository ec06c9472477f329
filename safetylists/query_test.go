package safetylists_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	. "primum/safetylists"
)

func goodSpecs() []QuerySpec {
	return []QuerySpec{
		{Kind: SNMPGet, Port: 161, OIDs: DefaultOIDs()},
		{Kind: DICOMEcho, Port: 104, CalledAE: "LUMENCT1", CallingAE: "PRIMUM", VersionName: "PRIMUM_1"},
		{Kind: HL7Ack, Port: 2575, Facility: "SITE", ReceivingApp: "APP", ReceivingFac: "FAC", HL7Version: "2.5.1", Expect: "AA"},
	}
}

func TestQuestionsOutsideTheVocabularyAreRefused(t *testing.T) {
	snmp, dicom, hl7 := 0, 1, 2
	many := make([]string, MaxOIDs+1)
	for i := range many {
		many[i] = fmt.Sprintf("1.3.6.1.2.1.1.%d.0", i+1)
	}
	for _, c := range []struct {
		name   string
		of     int
		change func(*QuerySpec)
	}{
		{"no port", snmp, func(s *QuerySpec) { s.Port = 0 }},
		{"unknown kind", snmp, func(s *QuerySpec) { s.Kind = "snmp.walk" }},
		{"no kind", snmp, func(s *QuerySpec) { s.Kind = "" }},
		{"no object", snmp, func(s *QuerySpec) { s.OIDs = nil }},
		{"too many objects", snmp, func(s *QuerySpec) { s.OIDs = many }},
		{"an object twice", snmp, func(s *QuerySpec) { s.OIDs = []string{"1.3.6", "1.3.6"} }},
		{"a leading dot", snmp, func(s *QuerySpec) { s.OIDs = []string{".1.3.6"} }},
		{"a trailing dot", snmp, func(s *QuerySpec) { s.OIDs = []string{"1.3.6."} }},
		{"a leading zero", snmp, func(s *QuerySpec) { s.OIDs = []string{"1.03.6"} }},
		{"a signed number", snmp, func(s *QuerySpec) { s.OIDs = []string{"1.+3.6"} }},
		{"one number", snmp, func(s *QuerySpec) { s.OIDs = []string{"1"} }},
		{"first arc above 2", snmp, func(s *QuerySpec) { s.OIDs = []string{"3.1"} }},
		{"second arc above 39", snmp, func(s *QuerySpec) { s.OIDs = []string{"1.40"} }},
		{"arc of 2^32", snmp, func(s *QuerySpec) { s.OIDs = []string{"1.3.4294967296"} }},
		{"129 arcs", snmp, func(s *QuerySpec) { s.OIDs = []string{"1.3" + strings.Repeat(".1", 127)} }},
		{"a title in an SNMP question", snmp, func(s *QuerySpec) { s.CalledAE = "TITLE" }},
		{"no called title", dicom, func(s *QuerySpec) { s.CalledAE = "" }},
		{"a long title", dicom, func(s *QuerySpec) { s.CallingAE = "SEVENTEENLETTERSX" }},
		{"a title in lower case", dicom, func(s *QuerySpec) { s.CalledAE = "lumenct1" }},
		{"a title with a backslash", dicom, func(s *QuerySpec) { s.CalledAE = `A\B` }},
		{"a title with a space before", dicom, func(s *QuerySpec) { s.CallingAE = " PRIMUM" }},
		{"a guessed title", dicom, func(s *QuerySpec) { s.CalledAE = "ANY-SCP" }},
		{"a long version name", dicom, func(s *QuerySpec) { s.VersionName = "SEVENTEENLETTERSX" }},
		{"a version name with a control", dicom, func(s *QuerySpec) { s.VersionName = "A\n" }},
		{"objects in a DICOM question", dicom, func(s *QuerySpec) { s.OIDs = []string{"1.3"} }},
		{"no application", hl7, func(s *QuerySpec) { s.ReceivingApp = "" }},
		{"a separator in a name", hl7, func(s *QuerySpec) { s.ReceivingFac = "A|B" }},
		{"a segment end in a name", hl7, func(s *QuerySpec) { s.Facility = "A\rPID" }},
		{"a block end in a name", hl7, func(s *QuerySpec) { s.Facility = "A\x1c" }},
		{"a name of 65 letters", hl7, func(s *QuerySpec) { s.ReceivingApp = strings.Repeat("A", 65) }},
		{"version 2.7", hl7, func(s *QuerySpec) { s.HL7Version = "2.7" }},
		{"no version", hl7, func(s *QuerySpec) { s.HL7Version = "" }},
		{"an enhanced code", hl7, func(s *QuerySpec) { s.Expect = "CA" }},
		{"a code that does not exist", hl7, func(s *QuerySpec) { s.Expect = "NCK" }},
		{"a title in an HL7 question", hl7, func(s *QuerySpec) { s.CallingAE = "PRIMUM" }},
	} {
		s := goodSpecs()[c.of]
		c.change(&s)
		if q, err := ParseQuery(s); err == nil {
			t.Errorf("%s: accepted as %s", c.name, q)
		} else if q.Kind() != "" {
			t.Errorf("%s: refused and returned %s all the same", c.name, q)
		}
	}
}

func TestQuestionsSurviveTheirWrittenForm(t *testing.T) {
	for _, s := range goodSpecs() {
		q, err := ParseQuery(s)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		var again Query
		if err := json.Unmarshal(b, &again); err != nil || !again.Equal(q) {
			t.Errorf("%s came back as %s: %v", q, again, err)
		}
		var wide Query
		if err := json.Unmarshal([]byte(strings.Replace(string(b), "{", `{"set":true,`, 1)), &wide); err == nil {
			t.Errorf("%s: an unknown parameter was read", q)
		}
	}
}

func TestQuestionDoesNotChangeWithTheSliceItWasMadeFrom(t *testing.T) {
	oids := DefaultOIDs()
	q, err := ParseQuery(QuerySpec{Kind: SNMPGet, Port: 161, OIDs: oids})
	if err != nil {
		t.Fatal(err)
	}
	oids[0] = "1.3.6.1.4.1.1"
	q.Spec().OIDs[1] = "1.3.6.1.4.1.2"
	if got := q.Spec().OIDs; got[0] != DefaultOIDs()[0] || got[1] != DefaultOIDs()[1] {
		t.Errorf("the question became %v", got)
	}
}

func TestReasonsSpeakToATechnician(t *testing.T) {
	if len(Reasons()) < 30 {
		t.Fatalf("only %d reasons", len(Reasons()))
	}
	for _, r := range Reasons() {
		w := r.Words()
		for _, sentence := range []string{w.What, w.Why, w.Do} {
			if sentence == "" || !strings.HasSuffix(sentence, ".") {
				t.Errorf("%q: %q is no sentence", r, sentence)
			}
			for _, word := range []string{"scan", "target", "attack", "exploit"} {
				if strings.Contains(strings.ToLower(sentence), word) {
					t.Errorf("%q says %q: %s", r, word, sentence)
				}
			}
		}
	}
	if Reason("NO_SUCH_CODE").Words() != NotDecided.Words() {
		t.Error("an unknown code has words of its own")
	}
}
