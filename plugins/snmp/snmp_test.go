package snmp

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gosnmp/gosnmp"

	"primum/plugins/sdk"
	"primum/plugins/sdk/sdktest"
)

// system is the default question: sysDescr.0, sysObjectID.0, sysUpTime.0, sysName.0.
func system() sdk.SNMPGet {
	return sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 0x12345678, OIDs: []string{
		"1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.5.0"}}
}

// Written by hand from RFC 3416 and X.690.
const (
	goldenRequest = "304d 020101 0400 a046 020412345678 020100 020100 3038" +
		"300c 06082b06010201010100 0500" +
		"300c 06082b06010201010200 0500" +
		"300c 06082b06010201010300 0500" +
		"300c 06082b06010201010500 0500"
	goldenResponse = "3076 020101 0400 a26f 020412345678 020100 020100 3061" +
		"301b 06082b06010201010100 040f 4163 6d65 2070 756d 7020 332e 312e 34" +
		"3016 06082b06010201010200 060a 2b060104 01 8f65 01020a" +
		"3010 06082b06010201010300 4304 00012345" +
		"3018 06082b06010201010500 040c 7075 6d70 2d69 6375 2d30 3034"
)

func octets(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRequestIsCanonicalToTheOctet(t *testing.T) {
	for _, c := range []struct {
		name string
		q    sdk.SNMPGet
		want string
	}{
		{"default question", system(), goldenRequest},
		{"smallest request id", sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 1, OIDs: []string{"1.3.6.1.2.1.1.1.0"}},
			"3020 020101 0400 a019 020101 020100 020100 300e 300c 06082b06010201010100 0500"},
		{"request id that needs a leading zero", sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 128, OIDs: []string{"1.3.6.1"}},
			"301c 020101 0400 a015 02020080 020100 020100 3009 3007 06032b0601 0500"},
		{"largest request id", sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 1<<31 - 1, OIDs: []string{"2.999.4294967295"}},
			"3022 020101 0400 a01b 02047fffffff 020100 020100 300d 300b 0607 8837 8fffffff7f 0500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conversation, err := Probe{}.Begin(c.q)
			if err != nil {
				t.Fatal(err)
			}
			got := conversation.Next()
			if want := octets(t, c.want); cmp.Diff(want, got) != "" {
				t.Errorf("request is\n% x\nwant\n% x", got, want)
			}
			if again := conversation.Next(); again != nil {
				t.Errorf("a second message is proposed: % x", again)
			}
		})
	}
}

func TestLongRequestHasShortestLengths(t *testing.T) {
	var oids []string
	for _, column := range strings.Fields("2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17") {
		oids = append(oids, "1.3.6.1.2.1.47.1.1.1.1."+column+".1")
	}
	b, err := encode(sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 0x12345678, OIDs: oids})
	if err != nil {
		t.Fatal(err)
	}
	// 16 objects of 18 octets with their frames: 288; WIRE-size with a 16-octet community is 333.
	if want := 333 - 16; len(b) != want {
		t.Errorf("16 objects make %d octets, want %d", len(b), want)
	}
	if got, want := b[:4], octets(t, "30820139"); cmp.Diff(want, got) != "" {
		t.Errorf("message begins % x, want % x", got, want)
	}
}

func TestQuestionsThatCannotBeBuiltAreRefused(t *testing.T) {
	many := make([]string, 17)
	for i := range many {
		many[i] = "1.3.6.1.2.1.1." + string(rune('1'+i%9)) + "." + string(rune('0'+i/9))
	}
	for name, q := range map[string]sdk.SNMPGet{
		"no object":         {RequestID: 1},
		"too many objects":  {RequestID: 1, OIDs: many},
		"request id zero":   {OIDs: []string{"1.3.6.1"}},
		"request id 2^31":   {RequestID: 1 << 31, OIDs: []string{"1.3.6.1"}},
		"the same twice":    {RequestID: 1, OIDs: []string{"1.3.6.1", "1.3.6.1"}},
		"leading dot":       {RequestID: 1, OIDs: []string{".1.3.6.1"}},
		"leading zero":      {RequestID: 1, OIDs: []string{"1.3.06.1"}},
		"empty part":        {RequestID: 1, OIDs: []string{"1.3..1"}},
		"one part":          {RequestID: 1, OIDs: []string{"1"}},
		"first part 3":      {RequestID: 1, OIDs: []string{"3.1"}},
		"second part 40":    {RequestID: 1, OIDs: []string{"1.40"}},
		"part above 2^32-1": {RequestID: 1, OIDs: []string{"1.3.4294967296"}},
		"129 parts":         {RequestID: 1, OIDs: []string{"1.3" + strings.Repeat(".1", 127)}},
		"more than 484":     {RequestID: 1, OIDs: longOIDs()},
		"words":             {RequestID: 1, OIDs: []string{"sysDescr.0"}},
	} {
		if c, err := (Probe{}).Begin(q); err == nil {
			t.Errorf("%s: built % x", name, c.Next())
		}
	}
}

func longOIDs() []string {
	var out []string
	for i := range 6 {
		out = append(out, "1.3.6.1."+string(rune('1'+i))+strings.Repeat(".127", 80))
	}
	return out
}

func TestResponseBecomesFacts(t *testing.T) {
	got := read(system(), octets(t, goldenResponse))
	uptime := uint32(0x12345)
	want := sdk.Result{
		Status: sdk.Answered,
		Facts: []sdk.Fact{
			{Field: sdk.FieldDescription, Value: "Acme pump 3.1.4", Origin: "sysDescr.0"},
			{Field: sdk.FieldObjectID, Value: "1.3.6.1.4.1.2021.1.2.10", Origin: "sysObjectID.0"},
			{Field: sdk.FieldName, Value: "pump-icu-004", Origin: "sysName.0"},
		},
		Vitals:     sdk.Vitals{UptimeTicks: &uptime},
		Attributes: []sdk.Attribute{{Name: "snmp.error_status", Value: "0"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// reply builds a response by hand: header fields in hex, and each varbind as OID and value in hex.
func reply(t testing.TB, id, status, index string, binds ...string) []byte {
	t.Helper()
	var list []byte
	for i := 0; i < len(binds); i += 2 {
		list = append(list, tlv(0x30, append(tlv(0x06, octets(t, binds[i])), octets(t, binds[i+1])...))...)
	}
	pdu := append(tlv(0x02, octets(t, id)), tlv(0x02, octets(t, status))...)
	pdu = append(pdu, tlv(0x02, octets(t, index))...)
	pdu = append(pdu, tlv(0x30, list)...)
	message := append(octets(t, "020101 0400"), tlv(0xa2, pdu)...)
	return tlv(0x30, message)
}

func tlv(tag byte, content []byte) []byte {
	switch n := len(content); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, content...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, content...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, content...)
	}
}

const (
	descr = "2b06010201010100"
	name  = "2b06010201010500"
)

func TestResponsesAreJudged(t *testing.T) {
	q := sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 7, OIDs: []string{"1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.5.0"}}
	good := []string{descr, "0401 41", name, "0401 42"}
	for _, c := range []struct {
		name  string
		reply []byte
		want  sdk.Status
	}{
		{"as asked", reply(t, "07", "00", "00", good...), sdk.Answered},
		{"another request id", reply(t, "08", "00", "00", good...), sdk.Malformed},
		{"request id zero", reply(t, "00", "00", "00", good...), sdk.Malformed},
		{"request id longer than 32 bits", reply(t, "0100000007", "00", "00", good...), sdk.Malformed},
		{"negative request id", reply(t, "87", "00", "00", good...), sdk.Malformed},
		{"one object missing", reply(t, "07", "00", "00", good[:2]...), sdk.Malformed},
		{"one object more", reply(t, "07", "00", "00", append(good, name, "0401 43")...), sdk.Malformed},
		{"other order", reply(t, "07", "00", "00", name, "0401 42", descr, "0401 41"), sdk.Malformed},
		{"no object", reply(t, "07", "00", "00"), sdk.Malformed},
		{"one object not there", reply(t, "07", "00", "00", descr, "8000", name, "0401 42"), sdk.Answered},
		{"no object there", reply(t, "07", "00", "00", descr, "8000", name, "8100"), sdk.Declined},
		{"null for a value", reply(t, "07", "00", "00", descr, "0500", name, "0401 42"), sdk.Malformed},
		{"number for a text", reply(t, "07", "00", "00", descr, "020105", name, "0401 42"), sdk.Malformed},
		{"genErr", reply(t, "07", "05", "01", descr, "0500", name, "0500"), sdk.Declined},
		{"tooBig without objects", reply(t, "07", "01", "00"), sdk.Declined},
		{"error with other objects", reply(t, "07", "05", "01", name, "0500"), sdk.Malformed},
		{"unknown error status", reply(t, "07", "13", "00", good...), sdk.Malformed},
		{"error status 256", reply(t, "07", "0100", "00", good...), sdk.Malformed},
		{"value one octet longer than its frame", overrun(reply(t, "07", "00", "00", good...)), sdk.Malformed},
		{"octet after the end", append(reply(t, "07", "00", "00", good...), 0), sdk.Malformed},
		{"a request", withTag(reply(t, "07", "00", "00", good...), 0xa0), sdk.Malformed},
		{"a trap", withTag(reply(t, "07", "00", "00", good...), 0xa7), sdk.Malformed},
		{"too long", tlv(0x30, make([]byte, 1500)), sdk.Malformed},
		{"nothing", nil, sdk.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := read(q, c.reply); got.Status != c.want {
				t.Errorf("% x is %v (%s), want %v", c.reply, got.Status, got.Detail, c.want)
			}
		})
	}
}

func overrun(b []byte) []byte { b[len(b)-2]++; return b }

func withTag(b []byte, tag byte) []byte { b[7] = tag; return b }

func TestMissingObjectIsToldAndMakesNoFact(t *testing.T) {
	q := sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 7, OIDs: []string{"1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.5.0"}}
	got := read(q, reply(t, "07", "00", "00", descr, "8000", name, "0401 42"))
	want := sdk.Result{
		Status: sdk.Answered,
		Facts:  []sdk.Fact{{Field: sdk.FieldName, Value: "B", Origin: "sysName.0"}},
		Attributes: []sdk.Attribute{
			{Name: "snmp.error_status", Value: "0"},
			{Name: "snmp.missing.1.3.6.1.2.1.1.1.0", Value: "noSuchObject"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEntityObjectsBecomeSerialVersionMakerAndModel(t *testing.T) {
	var oids, binds []string
	for _, column := range []string{"09", "0a", "0b", "0c", "0d"} {
		binds = append(binds, "2b060102012f01010101"+column+"01", "0403 "+hex.EncodeToString([]byte("v"+column)))
	}
	for _, column := range []string{"9", "10", "11", "12", "13"} {
		oids = append(oids, "1.3.6.1.2.1.47.1.1.1.1."+column+".1")
	}
	got := read(sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 7, OIDs: oids}, reply(t, "07", "00", "00", binds...))
	want := []sdk.Fact{
		{Field: sdk.FieldVersion, Value: "v0a", Origin: "entPhysicalSoftwareRev.1"},
		{Field: sdk.FieldSerial, Value: "v0b", Origin: "entPhysicalSerialNum.1"},
		{Field: sdk.FieldManufacturer, Value: "v0c", Origin: "entPhysicalMfgName.1"},
		{Field: sdk.FieldModel, Value: "v0d", Origin: "entPhysicalModelName.1"},
	}
	if d := cmp.Diff(want, got.Facts); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(sdk.Attribute{Name: "snmp.value.1.3.6.1.2.1.47.1.1.1.1.9.1", Value: "v09"}, got.Attributes[1]); d != "" {
		t.Error(d)
	}
}

func TestHostileTextIsMadeSafe(t *testing.T) {
	q := sdk.SNMPGet{Version: sdk.SNMPv2c, RequestID: 7, OIDs: []string{"1.3.6.1.2.1.1.1.0"}}
	hostile := "pump\x1b[31m\r\nlevel=ERROR \u202Eevil\u0085 \xff" + strings.Repeat("a", 300)
	got := read(q, reply(t, "07", "00", "00", descr, hex.EncodeToString(tlv(0x04, []byte(hostile)))))
	value := got.Facts[0].Value
	if want := `pump[31mlevel=ERROR evil \xff` + "aaa"; !strings.HasPrefix(value, want) || len([]rune(value)) != 255 {
		t.Errorf("value is %q (%d characters)", value, len([]rune(value)))
	}
}

func TestProbeConforms(t *testing.T) {
	sdktest.Conform(t, Probe{}, sdktest.Example{Question: system(), Peer: sdktest.Peer{
		sdktest.Recv(octets(t, goldenRequest)), sdktest.Reply(octets(t, goldenResponse))}})
}

func TestRealProcessAsksAndReads(t *testing.T) {
	h := sdktest.Built(t, "./cmd/primum-probe-snmp")
	if d := h.Describe(t); d.Name != "snmp" {
		t.Errorf("describes itself as %v", d)
	}
	o := h.Ask(t, system(), sdktest.Peer{
		sdktest.Recv(octets(t, goldenRequest)), sdktest.Reply(octets(t, goldenResponse))})
	if o.Err != nil || o.Result.Status != sdk.Answered || len(o.Result.Facts) != 3 {
		t.Errorf("outcome %+v", o)
	}
}

func FuzzRead(f *testing.F) {
	q := system()
	f.Fuzz(func(t *testing.T, b []byte) {
		var r sdk.Result
		sdktest.Bounded(t, len(b), func() { r = read(q, b) })
		if r.Status == sdk.Answered {
			if h, err := envelope(gosnmp.Version2c, b); err != nil || h.requestID != q.RequestID || h.errorStatus != 0 {
				t.Errorf("answered by a response that is not ours: % x", b)
			}
		}
	})
}

func BenchmarkConversationWithRealProcess(b *testing.B) {
	h := sdktest.Built(b, "./cmd/primum-probe-snmp")
	peer := sdktest.Peer{sdktest.Reply(octets(b, goldenResponse))}
	for b.Loop() {
		if o := h.Ask(b, system(), peer); o.Result.Status != sdk.Answered {
			b.Fatal(o.Err)
		}
	}
}
