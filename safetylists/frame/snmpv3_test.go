package frame

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	list "primum/safetylists"
	"primum/safetylists/alloctest"
)

// goldenDiscovery was written by hand from RFC 3412 6, RFC 3414 2.4 and 4.
const goldenDiscovery = "30 3d  02 01 03" +
	"30 10 02 04 01 02 03 04  02 02 05 c0  04 01 04  02 01 03" +
	"04 10 30 0e 04 00 02 01 00 02 01 00 04 00 04 00 04 00" +
	"30 14 04 00 04 00 a0 0e 02 04 01 02 03 04 02 01 00 02 01 00 30 00"

func TestTheDiscoveryNamesNobodyAndAsksForNothing(t *testing.T) {
	b, err := EncodeDiscovery(0x01020304, 0x01020304)
	if want := unhex(t, goldenDiscovery); err != nil || !bytes.Equal(b, want) {
		t.Errorf("\n got %x\nwant %x (%v)", b, want, err)
	}
}

// WIRE-RULES 2.2: 16 objects of the ENTITY-MIB and a community of 16 octets are 333 octets; no question is
// larger than 484, whatever its version.
func TestTheLargestQuestionFitsWhatEveryAgentTakes(t *testing.T) {
	var oids []string
	for i := range list.MaxOIDs {
		oids = append(oids, fmt.Sprintf("1.3.6.1.2.1.47.1.1.1.1.%d.1", i+1))
	}
	for _, v := range []Version{V1, V2c} {
		if b, err := EncodeGet(v, oids, 0x01020304, bytes.Repeat([]byte{'c'}, 16)); err != nil || len(b) != 333 {
			t.Errorf("version %d: %d octets (%v)", v, len(b), err)
		}
	}
	engine := bytes.Repeat([]byte{0x80}, 32)
	scoped, err := EncodeScoped(engine, oids, 1<<31-1)
	if err != nil {
		t.Fatal(err)
	}
	m := Secured{MessageID: 1<<31 - 1, Flags: FlagAuth | FlagReportable, EngineID: engine, Boots: 1<<31 - 1, Time: 1<<31 - 1,
		User: bytes.Repeat([]byte{'u'}, 32), MAC: make([]byte, 48), Salt: make([]byte, 8), Scoped: scoped}
	if b, _, err := m.Encode(); err == nil {
		t.Errorf("%d octets are sent; at most 484 may be", len(b))
	}
	m.Scoped, err = EncodeScoped(engine, oids[:8], 1<<31-1)
	if b, at, encErr := m.Encode(); err != nil || encErr != nil || len(b) > 484 || !bytes.Equal(b[at:at+48], make([]byte, 48)) {
		t.Errorf("8 objects: %d octets, MAC at %d (%v, %v)", len(b), at, err, encErr)
	}
}

// A plugin speaks no version 3: whatever it proposes for such a question has the envelope of version 2c.
func TestAVersion3QuestionIsProposedInTheEnvelopeOf2c(t *testing.T) {
	q := query(t, list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs(), SNMPVersion: list.SNMPv3, Auth: "SHA256", Privacy: "AES128"})
	if _, err := Check(q, Example(), 0, unhex(t, goldenGet)); err != nil {
		t.Error(err)
	}
	discovery, err := EncodeDiscovery(0x01020304, 0x01020304)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{"a discovery": discovery, "version 1": unhex(t, "30 4d 02 01 00"+goldenGet[17:]), "nothing": nil} {
		if _, err := Check(q, Example(), 0, b); !errors.Is(err, ErrRefused) {
			t.Errorf("%s passes: %v", what, err)
		}
	}
	shown, err := Messages(q, Example())
	if err != nil || len(shown) != 2 || !bytes.Equal(shown[0].Bytes, discovery) {
		t.Errorf("shown as %v (%v)", shown, err)
	}
}

// report answers goldenDiscovery; Debian's net-snmp 5.9.3 sent it.
const report = "30710201033011020401020304020300ffe30401000201030421301f041180001f8880632dae663023096b00000000020101020101040004000400" +
	"3036041180001f8880632dae663023096b000000000400a81f0204010203040201000201003011300f060a2b060106030f01010400410101"

func TestADiscoveryIsAnsweredByTheReportOfItsOwnMessageAlone(t *testing.T) {
	b := unhex(t, report)
	e, err := ReadDiscovery(b, 0x01020304)
	if err != nil || len(e.ID) != 17 || e.Boots != 1 || e.Time != 1 {
		t.Fatalf("%+v %v", e, err)
	}
	if _, err := ReadDiscovery(b, 0x01020305); !errors.Is(err, ErrReply) {
		t.Errorf("the answer to another message is taken: %v", err)
	}
	wrong := bytes.Clone(b)
	wrong[bytes.LastIndex(wrong, []byte{0x0f, 1, 1, 4})+3] = 5 // usmStatsWrongDigests
	if _, err := ReadDiscovery(wrong, 0x01020304); !errors.Is(err, ErrReply) {
		t.Errorf("another report is taken: %v", err)
	}
	for n := range b {
		if _, err := ReadDiscovery(b[:n], 0x01020304); !errors.Is(err, ErrReply) {
			t.Errorf("cut to %d octets: %v", n, err)
		}
	}
}

func FuzzSecured(f *testing.F) {
	discovery, err := EncodeDiscovery(0x01020304, 0x01020304)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(discovery)
	f.Add(unhex(f, report))
	f.Fuzz(func(t *testing.T, b []byte) {
		alloctest.Bounded(t, b, 4, 64<<10, func() {
			if e, err := ReadDiscovery(b, 0x01020304); err == nil && (len(e.ID) < 5 || len(e.ID) > 32) {
				t.Errorf("an engine of %d octets", len(e.ID))
			}
			m, at, err := DecodeSecured(b)
			if err == nil && !bytes.Equal(b[at:at+len(m.MAC)], m.MAC) {
				t.Errorf("the MAC is not at %d of %x", at, b)
			}
			if shown, _, err := OpenScoped(b, []byte("engine"), 7, true); err == nil && shown != nil {
				if again := Renumbered(shown, 9); again == nil {
					t.Errorf("%x cannot be numbered anew", shown)
				}
			}
		})
	})
}
