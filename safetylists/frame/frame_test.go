package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	list "primum/safetylists"
)

func query(t testing.TB, s list.QuerySpec) list.Query {
	t.Helper()
	q, err := list.ParseQuery(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func goldenQueries(t testing.TB) map[string]list.Query {
	return map[string]list.Query{
		"snmp":   query(t, list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()}),
		"snmpv1": query(t, list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs(), SNMPVersion: list.SNMPv1}),
		"dicom":  query(t, list.QuerySpec{Kind: list.DICOMEcho, Port: 104, CalledAE: "ORTHANC", CallingAE: "PRIMUM", VersionName: "PRIMUM_1"}),
		"hl7":    query(t, list.QuerySpec{Kind: list.HL7Ack, Port: 2575, Facility: "SITE", ReceivingApp: "ENGINE", ReceivingFac: "WARD", HL7Version: "2.5.1", Expect: "AA"}),
	}
}

// Written by hand from WIRE-RULES 2.2, D1, D3 and H3, never by the encoder.
const (
	goldenGet = "30 4d  02 01 01  04 00  a0 46  02 04 01 02 03 04  02 01 00  02 01 00  30 38" +
		"30 0c 06 08 2b 06 01 02 01 01 01 00 05 00  30 0c 06 08 2b 06 01 02 01 01 02 00 05 00" +
		"30 0c 06 08 2b 06 01 02 01 01 03 00 05 00  30 0c 06 08 2b 06 01 02 01 01 05 00 05 00"
	goldenEcho = "04 00 00 00 00 4a  00 00 00 46 01 03" +
		"00 00 00 00 04 00 00 00 38 00 00 00" +
		"00 00 02 00 12 00 00 00 31 2e 32 2e 38 34 30 2e 31 30 30 30 38 2e 31 2e 31 00" +
		"00 00 00 01 02 00 00 00 30 00  00 00 10 01 02 00 00 00 01 00  00 00 00 08 02 00 00 00 01 01"
	goldenRelease = "05 00 00 00 00 04 00 00 00 00"
	goldenNMD     = "\x0bMSH|^~\\&|PRIMUM|SITE|ENGINE|WARD|20260102030405+0000||NMD^N02^NMD_N02|SP0123456789ABCDEF|T|2.5.1\rNST|N\r\x1c\r"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldenAssociate() []byte {
	uid := ImplementationClassUID
	b := []byte{1, 0, 0, 0, 0, byte(165 + len(uid) + 12 - 6), 0, 1, 0, 0}
	b = append(b, "ORTHANC         PRIMUM          "...)
	b = append(b, make([]byte, 32)...)
	b = append(b, "\x10\x00\x00\x151.2.840.10008.3.1.1.1"...)
	b = append(b, "\x20\x00\x00\x2e\x01\x00\x00\x00\x30\x00\x00\x111.2.840.10008.1.1\x40\x00\x00\x111.2.840.10008.1.2"...)
	b = append(b, 0x50, 0, 0, byte(8+4+len(uid)+4+8))
	b = append(b, "\x51\x00\x00\x04\x00\x00\x40\x00"...)
	b = append(b, 0x52, 0, 0, byte(len(uid)))
	b = append(b, uid...)
	return append(b, "\x55\x00\x00\x08PRIMUM_1"...)
}

func goldens(t testing.TB) map[string][][]byte {
	return map[string][][]byte{
		"snmp":   {unhex(t, goldenGet)},
		"snmpv1": {unhex(t, strings.Replace(goldenGet, "02 01 01", "02 01 00", 1))},
		"dicom":  {goldenAssociate(), unhex(t, goldenEcho), unhex(t, goldenRelease)},
		"hl7":    {[]byte(goldenNMD)},
	}
}

func TestMessagesEqualTheGoldenBytes(t *testing.T) {
	for name, q := range goldenQueries(t) {
		got, err := Messages(q, Example())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := goldens(t)[name]
		if len(got) != len(want) {
			t.Fatalf("%s: %d messages, want %d", name, len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i].Bytes, want[i]) {
				t.Errorf("%s message %d\n got %x\nwant %x", name, i, got[i].Bytes, want[i])
			}
		}
	}
}

// DESIGN 6.14: 165 octets plus the class UID, plus 4 and the version name; 80; 10.
func TestSizesOfDICOMMessagesFollowTheFormula(t *testing.T) {
	uid := len(ImplementationClassUID)
	for _, name := range []string{"", "PRIMUM_1"} {
		want := 165 + uid
		if name != "" {
			want += 4 + len(name)
		}
		rq, err := EncodeAssociateRQ("A", "B", name)
		if err != nil || len(rq) != want {
			t.Errorf("A-ASSOCIATE-RQ with version name %q is %d octets, want %d (%v)", name, len(rq), want, err)
		}
	}
	if n := len(EncodeEchoRQ(1)); n != 80 {
		t.Errorf("C-ECHO-RQ is %d octets, want 80", n)
	}
	if n := len(EncodeReleaseRQ()); n != 10 {
		t.Errorf("A-RELEASE-RQ is %d octets, want 10", n)
	}
}

// H-001, H-005: every single-octet mutant, every truncation and every extension of each golden
// message is refused, and the golden one itself passes.
func TestCheckRefusesEveryMutantOfEveryGoldenMessage(t *testing.T) {
	count := 0
	for name, q := range goldenQueries(t) {
		for step, golden := range goldens(t)[name] {
			got, err := Check(q, Example(), step, golden)
			if err != nil {
				t.Fatalf("%s message %d: the golden bytes are refused: %v", name, step, err)
			}
			if &got.Bytes[0] == &golden[0] {
				t.Fatalf("%s message %d: Check hands back the proposal, not its own buffer", name, step)
			}
			refuse := func(b []byte) {
				count++
				if _, err := Check(q, Example(), step, b); !errors.Is(err, ErrRefused) {
					t.Errorf("%s message %d: %x passes: %v", name, step, b, err)
				}
			}
			for i := range golden {
				for v := range 256 {
					if byte(v) == golden[i] {
						continue
					}
					mutant := bytes.Clone(golden)
					mutant[i] = byte(v)
					refuse(mutant)
				}
				refuse(golden[:i])
			}
			refuse(append(bytes.Clone(golden), 0))
			refuse(append(bytes.Clone(golden), golden...))
		}
	}
	if count < 100_000 {
		t.Errorf("only %d mutants were tried", count)
	}
}

func TestCheckRefusesAMessageOutOfOrder(t *testing.T) {
	q, msgs := goldenQueries(t)["dicom"], goldens(t)["dicom"]
	for step := range 4 {
		for i, m := range msgs {
			if i == step {
				continue
			}
			if _, err := Check(q, Example(), step, m); !errors.Is(err, ErrRefused) {
				t.Errorf("message %d passes at step %d", i, step)
			}
		}
	}
}

// The decoders are a lock of their own: a mutant that decodes must mean something else.
func TestDecodersAgreeWithEncodersOnlyOnTheGoldenBytes(t *testing.T) {
	for name, q := range goldenQueries(t) {
		for step, golden := range goldens(t)[name] {
			for i := range golden {
				for bit := range 8 {
					mutant := bytes.Clone(golden)
					mutant[i] ^= 1 << bit
					if err := parses(q, Example(), step, mutant); err == nil {
						t.Errorf("%s message %d: a mutant at octet %d reads as the approved message", name, step, i)
					}
				}
			}
		}
	}
}

func TestCheckResponseBlanksTheCommunityAndHoldsTheRequestID(t *testing.T) {
	reply := unhex(t, "30 29 02 01 01 04 06 73 65 63 72 65 74 a2 1c 02 04 01 02 03 04 02 01 00 02 01 00 30 0e 30 0c 06 08 2b 06 01 02 01 01 01 00 05 00")
	got, err := CheckResponse(reply, V2c, 0x01020304, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(got, []byte("secret")) {
		t.Errorf("the community is still in %x", got)
	}
	for what, f := range map[string]func() ([]byte, error){
		"another community":  func() ([]byte, error) { return CheckResponse(reply, V2c, 0x01020304, []byte("secreT")) },
		"another request-id": func() ([]byte, error) { return CheckResponse(reply, V2c, 0x01020305, []byte("secret")) },
		"request-id 0":       func() ([]byte, error) { return CheckResponse(reply, V2c, 0, []byte("secret")) },
		"cut short":          func() ([]byte, error) { return CheckResponse(reply[:20], V2c, 0x01020304, []byte("secret")) },
		"more after the end": func() ([]byte, error) {
			return CheckResponse(append(bytes.Clone(reply), 0), V2c, 0x01020304, []byte("secret"))
		},
	} {
		if _, err := f(); !errors.Is(err, ErrReply) {
			t.Errorf("%s passes: %v", what, err)
		}
	}
}

func TestReadPDUTellsTheEventsApart(t *testing.T) {
	ac := func(result byte) []byte {
		body := make([]byte, 68)
		body = append(body, item(itemApplication, []byte(applicationContext))...)
		body = append(body, item(itemContextAC, []byte{1, 0, result, 0}, item(itemTransfer, []byte(implicitLittle)))...)
		return pdu(pduAssociateAC, body)
	}
	rsp := EncodeEchoRQ(1)
	rsp = bytes.Replace(rsp, []byte{0, 0, 0, 1, 2, 0, 0, 0, 0x30, 0}, []byte{0, 0, 0, 1, 2, 0, 0, 0, 0x30, 0x80}, 1)
	rsp = bytes.Replace(rsp, []byte{0, 0, 0x10, 1}, []byte{0, 0, 0x20, 1}, 1)
	for name, c := range map[string]struct {
		pdu  []byte
		want Event
	}{
		"accepted":   {ac(0), EventAccepted},
		"no context": {ac(3), EventNoContext},
		"rejected":   {pdu(pduAssociateRJ, []byte{0, 2, 3, 1}), EventRejected},
		"released":   {pdu(pduReleaseRP, make([]byte, 4)), EventReleased},
		"aborted":    {pdu(pduAbort, make([]byte, 4)), EventAborted},
		"echoed":     {rsp, EventEchoed},
	} {
		if got, err := ReadPDU(c.pdu); err != nil || got != c.want {
			t.Errorf("%s: event %d, %v", name, got, err)
		}
		for n := range c.pdu {
			if got, err := ReadPDU(c.pdu[:n]); err == nil {
				t.Errorf("%s cut to %d octets is event %d", name, n, got)
			}
		}
	}
	if _, err := PDULength([6]byte{pduData, 0, 0xff, 0xff, 0xff, 0xff}); !errors.Is(err, ErrReply) {
		t.Errorf("a PDU of 4 GiB passes: %v", err)
	}
}

func TestReadAckUsesTheSeparatorThatTheDeviceDeclares(t *testing.T) {
	for block, want := range map[string]Ack{
		"\x0bMSH|^~\\&|A|B|C|D|20260102||ACK|1|T|2.5.1\rMSA|AA|SP0\r\x1c\r": {"AA", "SP0"},
		"\x0bMSH#^~\\&#A#B#C#D#20260102##ACK#1#T#2.5.1\rMSA#AR#SP1\r\x1c\r": {"AR", "SP1"},
	} {
		if got, err := ReadAck([]byte(block)); err != nil || got != want {
			t.Errorf("%q: %v, %v", block, got, err)
		}
	}
	for _, bad := range []string{"", "\x0b\x1c\r", "MSH|", "\x0bMSH|^~\\&|A\r\x1c\rx", "\x0bMSH|^~\\&|\rMSA|AAA|X\r\x1c\r", "\x0bPID|x\rMSA|AA|1\r\x1c\r"} {
		if got, err := ReadAck([]byte(bad)); !errors.Is(err, ErrReply) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

// H-034, G15: whoever sees a message on the network can tell whose it is. A datagram of SNMPv2c has no
// field for that; the agent's address is registered instead.
func TestEveryMessageNamesUs(t *testing.T) {
	queries := goldenQueries(t)
	for name, want := range map[string]string{"dicom": "PRIMUM          ", "hl7": "|^~\\&|PRIMUM|"} {
		all, err := Messages(queries[name], Example())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(all[0].Bytes, []byte(want)) {
			t.Errorf("%s: the first message does not name us: %q", name, all[0].Bytes)
		}
		if name == "dicom" && !bytes.Contains(all[0].Bytes, []byte(ImplementationClassUID)) {
			t.Error("the association does not carry our implementation class")
		}
	}
}
