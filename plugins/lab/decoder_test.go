package lab

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"
)

func sysOIDs() []string { return []string{oidDescr, oidObjectID, oidUptime, oidName} }

// Every single-octet change of an approved message is refused, but for the
// fields that a visitor chooses itself (D1: class UID and version name; S2:
// request-id; H3: time and control id).
func TestEverySingleOctetMutantIsRefused(t *testing.T) {
	snmp, rq, frame := sysGroup(7), associateRequest("SCANNER", "PRIMUM"), []byte(nmd(control1))
	scan := &DICOMConfig{CalledAE: "SCANNER", CallingAE: "PRIMUM"}
	endpoint := &HL7Config{Site: "DEMOSITE", Application: "APP", Facility: "FAC", Version: "2.5.1"}
	for _, c := range []struct {
		name    string
		message []byte
		free    []string // what the visitor chooses
		refused func(m []byte) bool
	}{
		{"SNMP", snmp, []string{"\x40\x00\x00\x07"}, func(m []byte) bool {
			_, wrong := readSNMP(m, testCommunity, sysOIDs())
			return wrong != nil
		}},
		{"A-ASSOCIATE-RQ", rq, []string{testClass, "PRIMUM_1"}, func(m []byte) bool {
			a := &association{cfg: scan}
			n, wrong := a.take(m)
			return wrong != nil || n != len(m) || a.judge(m).wrong != nil
		}},
		{"C-ECHO-RQ", []byte(goldenEcho), nil, func(m []byte) bool {
			a := &association{cfg: scan, stage: stageAccepted}
			n, wrong := a.take(m)
			return wrong != nil || n != len(m) || a.judge(m).wrong != nil
		}},
		{"A-RELEASE-RQ", []byte(goldenRelease), nil, func(m []byte) bool {
			if m[0] == pduAbort {
				return true // the other message of ten octets
			}
			a := &association{cfg: scan, stage: stageAnswered}
			n, wrong := a.take(m)
			return wrong != nil || n != len(m) || a.judge(m).wrong != nil
		}},
		{"NMD", frame, []string{"20261124023000", control1[2:]}, func(m []byte) bool {
			_, wrong := readHL7(m, endpoint)
			return wrong != nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.refused(c.message) {
				t.Fatal("the approved message is refused")
			}
			free := make([]bool, len(c.message))
			for _, text := range c.free {
				at := bytes.Index(c.message, []byte(text))
				for i := range text {
					free[at+i] = true
				}
			}
			for at := range c.message {
				if free[at] {
					continue
				}
				for delta := 1; delta < 256; delta++ {
					m := bytes.Clone(c.message)
					m[at] ^= byte(delta)
					if !c.refused(m) {
						t.Errorf("octet %d as %02X passes", at, m[at])
					}
				}
			}
			for n := 1; n < len(c.message); n++ {
				if !c.refused(c.message[:n]) {
					t.Errorf("the first %d octets pass", n)
				}
			}
		})
	}
}

func TestOddEncodingsOfALegalRequestAreNotCanonical(t *testing.T) {
	get := sysGroup(7)
	for name, m := range map[string][]byte{
		"long-form length":    append([]byte{0x30, 0x81, get[1]}, get[2:]...),
		"indefinite length":   append(append([]byte{0x30, 0x80}, get[2:]...), 0, 0),
		"padded version":      pad(get),
		"sub-id of 33 bits":   bytes.Replace(get, []byte("\x2b\x06\x01\x02\x01\x01\x01\x00"), []byte("\x2b\x06\x90\x80\x80\x80\x00\x00"), 1),
		"padded sub-id":       bytes.Replace(get, []byte("\x2b\x06\x01\x02\x01\x01\x01\x00"), []byte("\x2b\x06\x80\x01\x02\x01\x01\x00"), 1),
		"unfinished sub-id":   bytes.Replace(get, []byte("\x01\x01\x05\x00"), []byte("\x01\x01\x05\x80"), 1),
		"two-octet NULL":      bytes.Replace(get, []byte("\x05\x00\x30\x0c"), []byte("\x05\x02\x30\x0c"), 1),
		"high tag":            append([]byte{0x3f}, get[1:]...),
		"a five-octet number": {0x30, 7, 2, 5, 1, 0, 0, 0, 0},
	} {
		if _, wrong := readSNMP(m, testCommunity, sysOIDs()); wrong == nil || wrong.code != CodeSNMPBER {
			t.Errorf("%s: got %v, want %s", name, wrong, CodeSNMPBER)
		}
	}
}

func pad(get []byte) []byte {
	out := append([]byte{0x30, get[1] + 1, 0x02, 0x02, 0x00, 0x01}, get[5:]...)
	return out
}

func TestObjectIdentifiersGoThereAndBack(t *testing.T) {
	for _, oid := range []string{"1.3.6.1.2.1.1.1.0", "2.999.3", "0.39.4294967295", "1.3.6.1.4.1.99990.1"} {
		raw, err := parseOID(oid)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeOID(raw); err != nil || got != oid {
			t.Errorf("%s came back as %q, %v", oid, got, err)
		}
	}
	for _, bad := range []string{"", "1", "3.1", "1.40", "1.3.x", "1.3.4294967296", "1.3" + strings.Repeat(".1", 127)} {
		if _, err := parseOID(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// converse feeds a stream to a language as a call does, and returns how many
// octets were outside it.
func converse(lang language, stream []byte, step int) (outside int) {
	var buf []byte
	for len(stream) > 0 {
		n := min(step, len(stream))
		buf = append(buf, stream[:n]...)
		stream = stream[n:]
		for len(buf) > 0 {
			n, wrong := lang.take(buf)
			if n == 0 && wrong == nil {
				break
			}
			if wrong != nil {
				outside += len(buf)
				buf = nil
				break
			}
			if lang.judge(buf[:n]).wrong != nil {
				outside += n
			} else {
				lang.sent()
			}
			buf = buf[n:]
		}
	}
	return outside
}

// allocated says how much f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func newAssociation() *association {
	return &association{cfg: &DICOMConfig{CalledAE: "SCANNER", CallingAE: "PRIMUM", ClassUID: "2.25.1"}}
}

func newExchange() *exchange {
	return &exchange{
		cfg:  &HL7Config{Site: "DEMOSITE", Application: "APP", Facility: "FAC", Version: "2.5.1", Code: "AA"},
		used: func(string) bool { return false },
		now:  func() time.Time { return time.Unix(0, 0) },
	}
}

// Foreign octets must not cost more than 4 times themselves and 64 KiB
// (WIRE-RULES 8, P10).
func TestDecodersStayWithinTheirAllocationBound(t *testing.T) {
	big := bytes.Repeat([]byte("\x30\x82\x7f\xff"), 16<<10)
	oids := append([]byte{0x06, 0x82, 0x7f, 0xff}, bytes.Repeat([]byte{1}, 0x7fff)...)
	fields := []byte("\x0b" + strings.Repeat("|", 508) + "\r\x1c\r")
	for name, in := range map[string][]byte{"nested": big, "oids": oids, "fields": fields, "pdu": []byte("\x01\x00\xff\xff\xff\xff")} {
		for decoder, f := range map[string]func(){
			"snmp":  func() { readSNMP(in, testCommunity, sysOIDs()) },
			"dicom": func() { converse(newAssociation(), in, len(in)) },
			"hl7":   func() { converse(newExchange(), in, len(in)) },
		} {
			if got, most := allocated(f), uint64(4*len(in)+64<<10); got > most {
				t.Errorf("%s of %s allocates %d octets, at most %d", decoder, name, got, most)
			}
		}
	}
}

func FuzzSNMP(f *testing.F) {
	f.Add(sysGroup(7))
	f.Add([]byte("\x30\x82\x01\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		req, wrong := readSNMP(raw, testCommunity, sysOIDs())
		if wrong != nil {
			if wrong.code == "" {
				t.Error("a breach without a code")
			}
			return
		}
		// What passes is one of few messages: rebuilt from its parts it is the same.
		rebuilt := snmpAnswer(testCommunity, req.id, req.oids, nil)
		if len(rebuilt) != len(raw) || len(raw) > maxDatagram || req.id <= 0 {
			t.Errorf("%x passes, rebuilt with %d octets", raw, len(rebuilt))
		}
	})
}

func FuzzDICOM(f *testing.F) {
	rq := string(associateRequest("SCANNER", "PRIMUM"))
	f.Add([]byte(rq+goldenEcho+goldenRelease), 7)
	f.Add([]byte(rq+goldenAbort), 1)
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		if step < 1 || step > 4096 {
			step = 1
		}
		// Where segments part must not change what is found.
		if a, b := converse(newAssociation(), stream, step), converse(newAssociation(), stream, len(stream)+1); a != b || a > len(stream) {
			t.Errorf("%d octets outside in pieces, %d at once, of %d", a, b, len(stream))
		}
	})
}

func FuzzSerial(f *testing.F) {
	f.Add([]byte(askIdentity+askStatus), 3)
	f.Add([]byte(askIdentity[:3]), 1)
	newRack := func() *rack { return &rack{cfg: &LineConfig{Unit: "01"}} }
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		if step < 1 || step > 4096 {
			step = 1
		}
		// Where segments part must not change what is found.
		if a, b := converse(newRack(), stream, step), converse(newRack(), stream, len(stream)+1); a != b || a > len(stream) {
			t.Errorf("%d octets outside in pieces, %d at once, of %d", a, b, len(stream))
		}
		if converse(newRack(), stream, step) == 0 && len(stream) >= 9 && !bytes.HasPrefix(stream, []byte(askIdentity)) {
			t.Errorf("%q passes", stream)
		}
	})
}

func FuzzHL7(f *testing.F) {
	f.Add([]byte(nmd(control1)), 7)
	f.Add([]byte("\x0bMSH|\r\x1c\r"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		if step < 1 || step > 4096 {
			step = 1
		}
		if outside := converse(newExchange(), stream, step); outside > len(stream) {
			t.Errorf("%d octets outside, of %d", outside, len(stream))
		}
		if _, wrong := readHL7(stream, newExchange().cfg); wrong == nil && (len(stream) > maxFrame || !bytes.Contains(stream, []byte("|T|2.5.1\rNST|N\r"))) {
			t.Errorf("%q passes", stream)
		}
	})
}
