package frame

import (
	"bytes"
	"slices"
	"testing"

	"primum/safetylists/alloctest"
)

func FuzzDecodeGet(f *testing.F) {
	f.Add(unhex(f, goldenGet))
	f.Fuzz(func(t *testing.T, b []byte) {
		alloctest.Bounded(t, b, 4, 64<<10, func() {
			g, err := DecodeGet(b)
			if err != nil || len(g.OIDs) == 0 {
				return
			}
			again, err := EncodeGet(g.Version, g.OIDs, g.RequestID, g.Community)
			if err != nil || !bytes.Equal(again, b) {
				t.Errorf("%x decodes, but its canonical form is %x (%v)", b, again, err)
			}
		})
	})
}

func FuzzDecodeAssociateRQ(f *testing.F) {
	f.Add(goldenAssociate())
	f.Fuzz(func(t *testing.T, b []byte) {
		alloctest.Bounded(t, b, 4, 64<<10, func() {
			a, err := DecodeAssociateRQ(b)
			if err != nil {
				return
			}
			again, err := EncodeAssociateRQ(a.Called, a.Calling, a.VersionName)
			if err != nil || !bytes.Equal(again, b) {
				t.Errorf("%x decodes, but its canonical form is %x (%v)", b, again, err)
			}
		})
	})
}

func FuzzDecodeEchoRQ(f *testing.F) {
	f.Add(unhex(f, goldenEcho))
	f.Fuzz(func(t *testing.T, b []byte) {
		alloctest.Bounded(t, b, 4, 64<<10, func() {
			if id, err := DecodeEchoRQ(b); err == nil && !bytes.Equal(EncodeEchoRQ(id), b) {
				t.Errorf("%x decodes, but is not canonical", b)
			}
		})
	})
}

func FuzzDecodeNMD(f *testing.F) {
	f.Add([]byte(goldenNMD))
	f.Fuzz(func(t *testing.T, b []byte) {
		alloctest.Bounded(t, b, 4, 64<<10, func() {
			if _, err := DecodeNMD(b); err == nil && slices.Contains(b[1:len(b)-2], 0x1c) {
				t.Errorf("%q decodes with a block end inside", b)
			}
		})
	})
}

func FuzzReplies(f *testing.F) {
	f.Add(unhex(f, "30 29 02 01 01 04 06 73 65 63 72 65 74 a2 1c 02 04 01 02 03 04 02 01 00 02 01 00 30 0e 30 0c 06 08 2b 06 01 02 01 01 01 00 05 00"))
	f.Add(unhex(f, goldenRelease))
	f.Add([]byte(goldenNMD))
	f.Fuzz(func(t *testing.T, b []byte) {
		alloctest.Bounded(t, b, 4, 64<<10, func() {
			if got, err := CheckResponse(b, V2c, 0x01020304, []byte("secret")); err == nil && bytes.Contains(got[:9], []byte("secret")) {
				t.Errorf("the community is still in %x", got)
			}
			if e, err := ReadPDU(b); err == nil && e == EventNone {
				t.Errorf("%x is a PDU without a meaning", b)
			}
			if _, err := ReadAck(b); err == nil && len(b) > MaxHL7In {
				t.Errorf("an acknowledgment of %d octets passes", len(b))
			}
		})
	})
}
