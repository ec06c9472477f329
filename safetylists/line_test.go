package safetylists_test

import (
	"strings"
	"testing"

	. "primum/safetylists"
)

// A maker finds a fault of a question at its own line, by the name of its field.
func TestAFaultOfAQuestionIsNamedAtItsOwnLine(t *testing.T) {
	file := func(question string) string {
		return "schema: primum-list/1\nname: test\nmaker: Aldane\ndated: 2026-11-24\nlab: true\nstatements:\n  - id: test.a\n    type: allow\n    purpose: identify\n" +
			"    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: listed, is: [\"1\"]}}\n    question:\n" + question + "    expires: 2027-11-24\n" + sourced
	}
	for name, c := range map[string]struct {
		question string
		says     []string
	}{
		"tls of snmp":         {"      kind: snmp.get\n      port: \"161\"\n      tls: true\n      oids: [1.3.6.1.2.1.1.1.0]\n", []string{"line 14", "question: tls: a question of the kind snmp.get has no such field"}},
		"tls that is no word": {"      kind: dicom.echo\n      port: \"11112\"\n      tls: maybe\n      calling_ae: PRIMUM\n", []string{"line 14", "line 14: tls: `maybe` does not fit: it is true or false"}},
		"objects of an echo":  {"      kind: dicom.echo\n      port: \"11112\"\n      calling_ae: PRIMUM\n      oids: [1.3.6.1.2.1.1.1.0]\n", []string{"line 15", "question: oids"}},
		"a port that is none": {"      kind: snmp.get\n      port: \"70000\"\n      oids: [1.3.6.1.2.1.1.1.0]\n", []string{"line 13", "port \"70000\""}},
		"an octet of a message": {"      kind: tcp.aldane.status\n      port: \"14001\"\n      messages:\n        - words: one\n          parts:\n            - {bytes: 02 3031}\n          reply: {max: 80, until: \"03\"}\n" +
			"        - words: two\n          parts:\n            - {bytes: \"02\"}\n            - {bytes: 02 30zz}\n          reply: {max: 80, until: \"03\"}\n", []string{"line 22", "message 2: part 2"}},
		"a port that is barred": {"      kind: dicom.echo\n      port: \"9100\"\n      calling_ae: PRIMUM\n", []string{"line 13", "G13"}},
	} {
		_, err := Load("test.yaml", []byte(file(c.question)))
		for _, want := range c.says {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, without %q", name, err, want)
			}
		}
	}
}
