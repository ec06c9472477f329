package safetylists

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// serial is a made-up protocol: STX, a letter, a unit of one to three digits, ETX, a check octet that is free.
func serial() []MessageTemplate {
	return []MessageTemplate{
		{Words: "ask for the identity", Parts: []MessagePart{{Bytes: "0249"}, {Field: "unit", Charset: "digits", Min: 1, Max: 3}, {Bytes: "03"}, {Bytes: "00", Mask: "80"}},
			Reply: ReplyRule{Max: 64, Until: "03", Then: 1}},
		{Words: "ask for the status", Parts: []MessagePart{{Bytes: "0253"}, {Bytes: "0300"}}, Least: 0, Most: 2, Reply: ReplyRule{Max: 16, Length: 5}},
	}
}

func TestAVendorsQuestionIsTakenWhenAGuardCanEnforceIt(t *testing.T) {
	good := QuerySpec{Kind: "tcp.aldane.status", Port: 4001, Messages: serial()}
	q, err := ParseQuery(good)
	if err != nil {
		t.Fatal(err)
	}
	if q.Kind().Transport() != "tcp" || q.Kind().Ending() != "fin" || q.Spec().Messages[0].Parts[0].Bytes != "0249" {
		t.Errorf("%s %s %+v", q.Kind().Transport(), q.Kind().Ending(), q.Spec())
	}
	b, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	var again Query
	if err := json.Unmarshal(b, &again); err != nil || !again.Equal(q) {
		t.Errorf("%s reads as %v: %v", b, again, err)
	}
	q.Spec().Messages[0].Parts[0].Bytes = "0257"
	if !again.Equal(q) {
		t.Error("a question was changed from outside")
	}
	for name, change := range map[string]func(*QuerySpec){
		"no messages":                     func(s *QuerySpec) { s.Messages = nil },
		"a kind without a maker":          func(s *QuerySpec) { s.Kind = "tcp.status" },
		"a kind of another transport":     func(s *QuerySpec) { s.Kind = "sctp.aldane.status" },
		"a kind in capitals":              func(s *QuerySpec) { s.Kind = "tcp.Aldane.status" },
		"the port of SNMP":                func(s *QuerySpec) { s.Port = 161 },
		"the port of DICOM":               func(s *QuerySpec) { s.Port = 104 },
		"objects":                         func(s *QuerySpec) { s.OIDs = DefaultOIDs() },
		"no words":                        func(s *QuerySpec) { s.Messages[0].Words = " " },
		"words with an escape":            func(s *QuerySpec) { s.Messages[0].Words = "\x1b[2J" },
		"too many in all":                 func(s *QuerySpec) { s.Messages[1].Most = 12 },
		"more often than most":            func(s *QuerySpec) { s.Messages[1].Least = 3 },
		"the first may be left out":       func(s *QuerySpec) { s.Messages[0].Most = 1 },
		"no parts":                        func(s *QuerySpec) { s.Messages[0].Parts = nil },
		"bytes and a field":               func(s *QuerySpec) { s.Messages[0].Parts[0].Field = "x" },
		"bytes in capitals":               func(s *QuerySpec) { s.Messages[0].Parts[0].Bytes = "0A" },
		"half an octet":                   func(s *QuerySpec) { s.Messages[0].Parts[0].Bytes = "024" },
		"a mask that is shorter":          func(s *QuerySpec) { s.Messages[0].Parts[0].Mask = "ff" },
		"bits under the mask":             func(s *QuerySpec) { s.Messages[0].Parts[3].Bytes = "01" },
		"a set that is not known":         func(s *QuerySpec) { s.Messages[0].Parts[1].Charset = "any" },
		"a field without an end":          func(s *QuerySpec) { s.Messages[0].Parts[1].Max = 0 },
		"a field longer than a message":   func(s *QuerySpec) { s.Messages[0].Parts[1].Max = 485 },
		"a message that is too long":      func(s *QuerySpec) { s.Messages[0].Parts[1].Max = 484 },
		"a field that runs into the next": func(s *QuerySpec) { s.Messages[0].Parts[2].Bytes = "39" },
		"a field that runs into bits": func(s *QuerySpec) {
			s.Messages[0].Parts[2], s.Messages[0].Parts[3] = s.Messages[0].Parts[3], s.Messages[0].Parts[2]
		},
		"two fields side by side":        func(s *QuerySpec) { s.Messages[0].Parts[2] = s.Messages[0].Parts[1] },
		"a reply without a bound":        func(s *QuerySpec) { s.Messages[0].Reply.Max = 0 },
		"a reply without an end":         func(s *QuerySpec) { s.Messages[0].Reply = ReplyRule{Max: 9} },
		"a reply with two ends":          func(s *QuerySpec) { s.Messages[0].Reply.Length = 9 },
		"a reply longer than its bound":  func(s *QuerySpec) { s.Messages[1].Reply.Length = 17 },
		"an end of many octets":          func(s *QuerySpec) { s.Messages[0].Reply.Until = strings.Repeat("03", 9) },
		"a length outside of the reply":  func(s *QuerySpec) { s.Messages[1].Reply = ReplyRule{Max: 9, At: 8, Size: 2} },
		"a length of no use":             func(s *QuerySpec) { s.Messages[1].Reply.At = 1 },
		"a datagram with a stream's end": func(s *QuerySpec) { s.Kind = "udp.aldane.status" },
		"a pin that is none":             func(s *QuerySpec) { s.TLSPin = "00" },
		"a length field beyond all numbers": func(s *QuerySpec) {
			s.Messages[1].Reply = ReplyRule{Max: 9, At: math.MaxInt, Size: 2}
		},
		"more messages than a number holds": func(s *QuerySpec) {
			s.Messages[0].Least, s.Messages[0].Most, s.Messages[1].Most = 1, math.MaxInt, math.MaxInt
		},
	} {
		s := good
		s.Messages = serial()
		change(&s)
		if _, err := ParseQuery(s); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	datagram := QuerySpec{Kind: "udp.aldane.status", Port: 4001, Messages: []MessageTemplate{{Words: "ask", Parts: []MessagePart{{Bytes: "01"}}, Reply: ReplyRule{Max: 1472}}}}
	if q, err := ParseQuery(datagram); err != nil || q.Kind().Transport() != "udp" || q.Kind().Ending() != "none" {
		t.Errorf("%v", err)
	}
	datagram.TLSPin = strings.Repeat("0", 64)
	if _, err := ParseQuery(datagram); err == nil {
		t.Error("TLS over datagrams is taken")
	}
}

// What a template leaves free, the plugin chooses: so what the template can become counts, not what it is like.
func TestATemplateThatCanBecomeAMessageOfSNMPDICOMOrHL7IsRefused(t *testing.T) {
	title := MessagePart{Bytes: strings.Repeat("41", 16) + strings.Repeat("42", 16)}
	field := func(charset string, least, most int) MessagePart {
		return MessagePart{Field: "f", Charset: charset, Min: least, Max: most}
	}
	for name, parts := range map[string][]MessagePart{
		"a SET of SNMPv1":                 {{Bytes: "3026020100040770726976617465a319"}},
		"a message of SNMPv3":             {{Bytes: "3081f00201033011"}},
		"a length without end":            {{Bytes: "308002010104"}},
		"a length of four octets":         {{Bytes: "308400000026020100040770"}},
		"a padded version":                {{Bytes: "302802020001040770"}},
		"bits that can be SNMP":           {{Bytes: "2006000000000000", Mask: "ef0e000000000000"}, {Bytes: "03"}},
		"octets that are all free":        {{Bytes: "0000000000000000", Mask: "0000000000000000"}, {Bytes: "03"}},
		"digits that are tag and length":  {field("digits", 2, 2), {Bytes: "020101"}, {Bytes: "04"}},
		"a field that may be left out":    {field("upper", 0, 2), {Bytes: "3026"}, {Bytes: "020101"}, {Bytes: "0407"}},
		"an A-ASSOCIATE-RQ":               {{Bytes: "0100000000d000010000"}, title},
		"an A-ASSOCIATE-RQ to free title": {{Bytes: "0100000000d000010000"}, field("printable", 16, 16)},
		"a block of MLLP":                 {{Bytes: "0b"}, field("upper", 3, 3), {Bytes: "7c"}},
	} {
		for kind, reply := range map[Kind]ReplyRule{"tcp.aldane.status": {Max: 64, Length: 5}, "udp.aldane.status": {Max: 64}} {
			first := MessageTemplate{Words: "ask", Parts: []MessagePart{{Bytes: "0249"}}, Reply: reply}
			for _, all := range [][]MessageTemplate{{{Words: "ask", Parts: parts, Reply: reply}}, {first, {Words: "then", Parts: parts, Reply: reply}}} {
				if _, err := ParseQuery(QuerySpec{Kind: kind, Port: 4001, Messages: all}); err == nil || !strings.Contains(err.Error(), "can be taken for") {
					t.Errorf("%s, %s: %v", name, kind, err)
				}
			}
		}
	}
	for name, parts := range map[string][]MessagePart{
		"Modbus":               {{Bytes: "0100000000060103", Mask: "ffffffffffffffff"}, {Bytes: "00000001"}},
		"LDAP":                 {{Bytes: "300c020101600702010304008000"}},
		"an octet of 30":       {{Bytes: "30"}, field("digits", 1, 3), {Bytes: "03"}},
		"a start and no MSH":   {{Bytes: "0b"}, field("digits", 1, 3), {Bytes: "1c0d"}},
		"a word and its end":   {field("printable", 1, 40), {Bytes: "0d"}},
		"an association's end": {{Bytes: "05000000000400000000"}},
	} {
		if _, err := ParseQuery(QuerySpec{Kind: "tcp.aldane.status", Port: 4001, Messages: []MessageTemplate{{Words: "ask", Parts: parts, Reply: ReplyRule{Max: 64, Length: 5}}}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A message of no octets is a probe of nobody's protocol, and one without a fixed octet is whatever its plugin
// makes of it.
func TestAMessageHasAnOctetThatItsAllowanceFixes(t *testing.T) {
	for name, parts := range map[string][]MessagePart{
		"nothing at all":    {{Field: "unit", Charset: "digits", Min: 0, Max: 3}},
		"a field alone":     {{Field: "unit", Charset: "digits", Min: 1, Max: 3}},
		"free octets alone": {{Bytes: "0000", Mask: "0000"}},
		"some bits":         {{Bytes: "8080", Mask: "80c0"}},
	} {
		for kind, reply := range map[Kind]ReplyRule{"tcp.aldane.status": {Max: 64, Length: 5}, "udp.aldane.status": {Max: 64}} {
			if _, err := ParseQuery(QuerySpec{Kind: kind, Port: 4001, Messages: []MessageTemplate{{Words: "ask", Parts: parts, Reply: reply}}}); err == nil {
				t.Errorf("%s, %s: it is taken", name, kind)
			}
		}
	}
}

const vendorList = `schema: primum-list/1
name: aldane serial
maker: Aldane Medical
dated: 2026-11-24
lab: true
statements:
- id: aldane.pump.status
  type: allow
  purpose: identify
  product: {manufacturers: [Aldane Medical], models: [Pump], versions: {compare: listed, is: ["1.0"]}}
  question:
    kind: tcp.aldane.status
    port: "4001"
    messages:
    - words: ask for the identity
      parts: [{bytes: "02 49"}, {field: unit, charset: digits, min: 1, max: 3}, {bytes: "03"}]
      reply: {max: 64, until: "03"}
    - words: ask for the status
      parts: [{bytes: "02 53 03"}]
      least: 0
      most: 2
      reply: {max: 16, length: 5}
  expires: 2027-11-24
  evidence: [{kind: laboratory, title: made for a test, publisher: test, date: 2026-11-24, says: nothing, seen: full, provenance: made for a test}]
examples:
- device: {maker: Aldane Medical, model: Pump, version: "1.0"}
  ask:
    kind: tcp.aldane.status
    port: 4001
    messages:
    - {words: ask for the identity, parts: [{bytes: "0249"}, {field: unit, charset: digits, min: 1, max: 3}, {bytes: "03"}], reply: {max: 64, until: "03"}}
    - {words: ask for the status, parts: [{bytes: "025303"}], most: 2, reply: {max: 16, length: 5}}
  expect: ALLOWED
- device: {maker: Aldane Medical, model: Pump, version: "1.0"}
  ask:
    kind: tcp.aldane.status
    port: 4001
    messages: [{words: ask for the identity, parts: [{bytes: "0257"}], reply: {max: 64, until: "03"}}]
  expect: QUESTION_NOT_APPROVED
- device: {maker: Aldane Medical, model: Pump, version: "1.0"}
  ask: {kind: snmp.get}
  expect: QUESTION_NOT_APPROVED
`

// The example in the list is the one that decides; its messages are exactly those, and its budget theirs.
func TestAnAllowanceCarriesAVendorsOwnMessages(t *testing.T) {
	f, err := Load("aldane.yaml", []byte(vendorList))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Statements[0].Limits.Messages; got != 3 {
		t.Errorf("%d messages a visit; the templates take 3", got)
	}
	for name, change := range map[string]string{
		"a port of the site's": `port: "4001"` + "\x00" + `port: site`,
		"a port of printers":   `port: "4001"` + "\x00" + `port: "9100"`,
		"too few messages":     "  expires:" + "\x00" + "  limits: {messages: 2}\n  expires:",
		"an unknown field":     "most: 2\n" + "\x00" + "most: 2\n      often: true\n",
	} {
		from, to, _ := strings.Cut(change, "\x00")
		if _, err := Load("aldane.yaml", []byte(strings.Replace(vendorList, from, to, 1))); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}
