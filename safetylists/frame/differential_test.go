package frame

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gosnmp/gosnmp"

	list "primum/safetylists"
)

// recorded is one side of an association of DCMTK 3.6.7 (Debian), as tcpdump saw it: echoscu asked storescp,
// once with one presentation context and once with three (echoscu -ppc 3).
func recorded(t testing.TB, name string) (pdus [][]byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "recorded", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := 6 + int(binary.BigEndian.Uint32(b[2:]))
		pdus, b = append(pdus, b[:n]), b[n:]
	}
	return pdus
}

// What DCMTK sends for an echo and for a release is, octet for octet, what we send.
func TestOurEchoAndReleaseAreThoseOfDCMTK(t *testing.T) {
	sent := recorded(t, "echoscu")
	if len(sent) != 3 || !bytes.Equal(sent[1], EncodeEchoRQ(1)) || !bytes.Equal(sent[2], EncodeReleaseRQ()) {
		t.Errorf("DCMTK sent %x", sent)
	}
}

func TestRecordedRepliesAreReadAsWhatTheyAre(t *testing.T) {
	var events []Event
	for _, b := range recorded(t, "storescp") {
		e, err := ReadPDU(b)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if !slices.Equal(events, []Event{EventAccepted, EventEchoed, EventReleased}) {
		t.Errorf("events %v", events)
	}
	// an answer to three contexts is none to our one
	if _, err := ReadPDU(recorded(t, "storescp-three-contexts")[0]); err == nil {
		t.Error("a reply that names contexts which were not proposed is taken")
	}
	for _, name := range []string{"echoscu", "echoscu-three-contexts"} {
		if _, err := DecodeAssociateRQ(recorded(t, name)[0]); err == nil {
			t.Errorf("%s: an association request that is not ours is taken", name)
		}
	}
}

// reference reads a reply by the tables of PS3.8 9.3 and PS3.7 E.1 alone, written apart from the decoder: what
// is at which octet, and nothing more.
func reference(b []byte) Event {
	if len(b) < 10 || len(b) != 6+int(binary.BigEndian.Uint32(b[2:])) {
		return EventNone
	}
	switch b[0] {
	case 3, 6, 7:
		if len(b) == 10 {
			return map[byte]Event{3: EventRejected, 6: EventReleased, 7: EventAborted}[b[0]]
		}
	case 2:
		contexts, ours, result := 0, false, byte(0)
		at := 74
		for at+4 <= len(b) {
			size := int(b[at+2])<<8 | int(b[at+3])
			if b[at] == 0x21 && size >= 4 && at+8 <= len(b) {
				contexts++
				if b[at+4] == 1 {
					ours, result = true, b[at+6]
				}
			}
			at += 4 + size
		}
		if at != len(b) || contexts != 1 || !ours {
			return EventNone
		}
		if result == 0 {
			return EventAccepted
		}
		return EventNoContext
	case 4:
		if len(b) >= 12 && int(binary.BigEndian.Uint32(b[6:])) == len(b)-10 && b[10] == 1 && b[11] == 3 &&
			bytes.Contains(b[12:], []byte{0, 0, 0, 1, 2, 0, 0, 0, 0x30, 0x80}) && bytes.Contains(b[12:], []byte{0, 0, 0x20, 1, 2, 0, 0, 0, 1, 0}) {
			return EventEchoed
		}
	}
	return EventNone
}

// FuzzPDUsDifferentially (D8): what the decoder takes, the reference takes for the same. It may refuse more.
func FuzzPDUsDifferentially(f *testing.F) {
	for _, name := range []string{"storescp", "storescp-three-contexts", "echoscu"} {
		for _, b := range recorded(f, name) {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ReadPDU(b)
		want := reference(b)
		if err == nil && e != want {
			t.Errorf("%x is event %d to the decoder and %d to the reference", b, e, want)
		}
	})
}

// gosnmpReads is what gosnmp makes of a request, and whether it is one that could be approved.
func gosnmpReads(b []byte) (p *gosnmp.SnmpPacket, ok bool) {
	defer func() {
		if recover() != nil {
			p, ok = nil, false // it panics on some malformed packets
		}
	}()
	p, err := (&gosnmp.GoSNMP{Version: gosnmp.Version2c}).SnmpDecodePacket(bytes.Clone(b))
	return p, err == nil && p != nil && p.PDUType == gosnmp.GetRequest
}

// FuzzBERDifferentially: what our decoder takes, gosnmp reads as the same GetRequest; and what gosnmp reads and
// would encode to the same octets, within the bounds of WIRE-RULES 2.2, our decoder takes.
func FuzzBERDifferentially(f *testing.F) {
	golden := unhex(f, goldenGet)
	f.Add(golden)
	f.Add(unhex(f, strings.Replace(goldenGet, "02 01 01", "02 01 00", 1)))
	f.Add(bytes.Replace(golden, []byte{0xa0}, []byte{0xa3}, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := DecodeGet(b)
		p, read := gosnmpReads(b)
		if err == nil && len(g.OIDs) > 0 {
			if !read {
				t.Fatalf("%x is taken, and gosnmp does not read it as a GetRequest", b)
			}
			var oids []string
			for _, v := range p.Variables {
				if v.Type != gosnmp.Null {
					t.Errorf("%x carries a value", b)
				}
				oids = append(oids, strings.TrimPrefix(v.Name, "."))
			}
			if p.RequestID != g.RequestID || p.Community != string(g.Community) || uint32(p.Version) != uint32(g.Version) || !slices.Equal(oids, g.OIDs) {
				t.Errorf("%x is %+v to us and id %d, %v to gosnmp", b, g, p.RequestID, oids)
			}
		}
		if !read || err == nil || p.RequestID == 0 || p.RequestID > 1<<31-1 || len(p.Community) > 32 || p.Error != 0 || p.ErrorIndex != 0 ||
			p.Version == gosnmp.Version3 || len(p.Variables) == 0 || len(p.Variables) > list.MaxOIDs || len(b) > MaxDatagramOut {
			return
		}
		var oids []string
		for _, v := range p.Variables {
			oid := strings.TrimPrefix(v.Name, ".")
			if v.Type != gosnmp.Null || slices.Contains(oids, oid) {
				return
			}
			oids = append(oids, oid)
		}
		if again, encErr := EncodeGet(Version(p.Version), oids, p.RequestID, []byte(p.Community)); encErr == nil && bytes.Equal(again, b) {
			t.Errorf("%x is canonical, gosnmp reads it, and it is refused: %v", b, err)
		}
	})
}
