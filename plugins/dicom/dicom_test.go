package dicom

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"primum/plugins/sdk"
	"primum/plugins/sdk/sdktest"
)

func question() sdk.DICOMEcho {
	return sdk.DICOMEcho{CalledAE: "CT_ROOM_4", CallingAE: "PRIMUM", ImplementationClassUID: "1.2.826.0.1.3680043.99999.1.1",
		MaxPDULength: 16384, MessageID: 0x0102}
}

// Written by hand from PS3.8 9.3 and PS3.7 9.3.5.
const (
	goldenAssociate = "01 00 000000bc 0001 0000" +
		"43545f524f4f4d5f3420202020202020" + // CT_ROOM_4
		"5052494d554d20202020202020202020" + // PRIMUM
		"0000000000000000000000000000000000000000000000000000000000000000" +
		"10 00 0015 312e322e3834302e31303030382e332e312e312e31" +
		"20 00 002e 01000000" +
		"30 00 0011 312e322e3834302e31303030382e312e31" +
		"40 00 0011 312e322e3834302e31303030382e312e32" +
		"50 00 0029" +
		"51 00 0004 00004000" +
		"52 00 001d 312e322e3832362e302e312e333638303034332e39393939392e312e31"
	goldenEcho = "04 00 0000004a 00000046 01 03" +
		"00000000 04000000 38000000" +
		"00000200 12000000 312e322e3834302e31303030382e312e3100" +
		"00000001 02000000 3000" +
		"00001001 02000000 0201" +
		"00000008 02000000 0101"
	goldenRelease = "05 00 00000004 00000000"

	// What DCMTK answers, by its class UID and version name.
	goldenAccept = "02 00 000000ba 0001 0000" +
		"43545f524f4f4d5f3420202020202020" +
		"5052494d554d20202020202020202020" +
		"0000000000000000000000000000000000000000000000000000000000000000" +
		"10 00 0015 312e322e3834302e31303030382e332e312e312e31" +
		"21 00 0019 01000000 40 00 0011 312e322e3834302e31303030382e312e32" +
		"50 00 003c" +
		"51 00 0004 00004000" +
		"52 00 001b 312e322e3237362e302e373233303031302e332e302e332e362e37" +
		"55 00 0011 4f464649535f44434d544b5f333637" + "2020"
	goldenEchoRSP = "04 00 00000054 00000050 01 03" +
		"00000000 04000000 42000000" +
		"00000200 12000000 312e322e3834302e31303030382e312e3100" +
		"00000001 02000000 3080" +
		"00002001 02000000 0201" +
		"00000008 02000000 0101" +
		"00000009 02000000 0000"
	goldenReleaseRP = "06 00 00000004 00000000"
)

func octets(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func answering(t testing.TB) sdktest.Peer {
	return sdktest.Peer{
		sdktest.Recv(octets(t, goldenAssociate)), sdktest.Reply(octets(t, goldenAccept)),
		sdktest.Recv(octets(t, goldenEcho)), sdktest.Reply(octets(t, goldenEchoRSP)),
		sdktest.Recv(octets(t, goldenRelease)), sdktest.Reply(octets(t, goldenReleaseRP)),
	}
}

func TestMessagesAreTheApprovedOctets(t *testing.T) {
	q := question()
	associate, err := associateRQ(q)
	if err != nil {
		t.Fatal(err)
	}
	echo, err := echoRQ(q.MessageID)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want []byte }{
		"A-ASSOCIATE-RQ": {associate, octets(t, goldenAssociate)},
		"C-ECHO-RQ":      {echo, octets(t, goldenEcho)},
		"A-RELEASE-RQ":   {releaseRQ(), octets(t, goldenRelease)},
	} {
		if d := cmp.Diff(c.want, c.got); d != "" {
			t.Errorf("%s is\n% x\nwant\n% x", name, c.got, c.want)
		}
	}
	if want := 165 + len(q.ImplementationClassUID); len(associate) != want {
		t.Errorf("A-ASSOCIATE-RQ has %d octets, want %d", len(associate), want)
	}
	if len(echo) != 80 || len(releaseRQ()) != 10 {
		t.Errorf("C-ECHO-RQ has %d octets and A-RELEASE-RQ %d, want 80 and 10", len(echo), len(releaseRQ()))
	}
	q.ImplementationVersionName = "PRIMUM_1"
	named, err := associateRQ(q)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(associate, octets(t, "55 00 0008 5052494d554d5f31"))
	want[5] += 12                 // PDU
	want[len(associate)-42] += 12 // user information
	if d := cmp.Diff(want, named); d != "" {
		t.Errorf("with a version name it is\n% x\nwant\n% x", named, want)
	}
}

func TestQuestionsThatCannotBeBuiltAreRefused(t *testing.T) {
	for name, change := range map[string]func(*sdk.DICOMEcho){
		"no called AE":        func(q *sdk.DICOMEcho) { q.CalledAE = "" },
		"padded called AE":    func(q *sdk.DICOMEcho) { q.CalledAE = "CT " },
		"17 characters":       func(q *sdk.DICOMEcho) { q.CallingAE = strings.Repeat("A", 17) },
		"lower case":          func(q *sdk.DICOMEcho) { q.CallingAE = "ct" },
		"backslash":           func(q *sdk.DICOMEcho) { q.CallingAE = `A\B` },
		"no class UID":        func(q *sdk.DICOMEcho) { q.ImplementationClassUID = "" },
		"class UID of words":  func(q *sdk.DICOMEcho) { q.ImplementationClassUID = "1.2.x" },
		"class UID leading 0": func(q *sdk.DICOMEcho) { q.ImplementationClassUID = "1.02.3" },
		"long version name":   func(q *sdk.DICOMEcho) { q.ImplementationVersionName = strings.Repeat("A", 17) },
		"no maximum length":   func(q *sdk.DICOMEcho) { q.MaxPDULength = 0 },
		"message id 0":        func(q *sdk.DICOMEcho) { q.MessageID = 0 },
	} {
		q := question()
		change(&q)
		if _, err := (Probe{}).Begin(q); err == nil {
			t.Errorf("%s: began", name)
		}
	}
}

func TestEchoIsAnsweredWithTheSoftwareItNames(t *testing.T) {
	o := sdktest.InProcess(t, Probe{}).Ask(t, question(), answering(t))
	want := sdk.Result{
		Status: sdk.Answered,
		Facts: []sdk.Fact{
			{Field: sdk.FieldSoftware, Value: "1.2.276.0.7230010.3.0.3.6.7", Origin: "0052H"},
			{Field: sdk.FieldSoftware, Value: "OFFIS_DCMTK_367", Origin: "0055H"},
		},
		Attributes: []sdk.Attribute{
			{Name: "dicom.context_result", Value: "0"},
			{Name: "dicom.max_pdu_length", Value: "16384"},
			{Name: "dicom.status", Value: "0000"},
			{Name: "dicom.release", Value: "confirmed"},
		},
	}
	if d := cmp.Diff(want, o.Result); d != "" || o.Err != nil {
		t.Errorf("%v %s", o.Err, d)
	}
}

// D9: what stands in the AE fields of an A-ASSOCIATE-AC is no proof of anything.
func TestAlteredAETitlesChangeNoClaim(t *testing.T) {
	accept := octets(t, goldenAccept)
	copy(accept[10:42], "SOMEBODY_ELSE   SOMEWHERE_ELSE  ")
	peer := answering(t)
	peer[1] = sdktest.Reply(accept)
	h := sdktest.InProcess(t, Probe{})
	if d := cmp.Diff(h.Ask(t, question(), answering(t)), h.Ask(t, question(), peer)); d != "" {
		t.Error(d)
	}
}

func TestRejectionsAreBusyOrDeclined(t *testing.T) {
	for _, c := range []struct {
		triple [3]byte
		want   sdk.Status
	}{
		{[3]byte{1, 1, 1}, sdk.Declined}, {[3]byte{1, 1, 2}, sdk.Declined}, {[3]byte{1, 1, 3}, sdk.Declined},
		{[3]byte{1, 1, 7}, sdk.Declined}, {[3]byte{1, 2, 2}, sdk.Declined}, {[3]byte{2, 1, 1}, sdk.Declined},
		{[3]byte{2, 3, 1}, sdk.Busy}, {[3]byte{2, 3, 2}, sdk.Busy}, {[3]byte{1, 3, 1}, sdk.Declined},
		{[3]byte{2, 3, 0}, sdk.Declined}, {[3]byte{0, 1, 1}, sdk.Malformed}, {[3]byte{3, 1, 1}, sdk.Malformed},
		{[3]byte{1, 0, 1}, sdk.Malformed}, {[3]byte{1, 4, 1}, sdk.Malformed},
	} {
		t.Run(fmt.Sprint(c.triple), func(t *testing.T) {
			o := sdktest.InProcess(t, Probe{}).Ask(t, question(), sdktest.Peer{
				sdktest.Reply(append([]byte{3, 0, 0, 0, 0, 4, 0}, c.triple[:]...))})
			if o.Result.Status != c.want || len(o.Sent) != 1 {
				t.Errorf("%v after %d messages, want %v after one", o.Result.Status, len(o.Sent), c.want)
			}
			want := []sdk.Attribute{{Name: "dicom.reject", Value: fmt.Sprintf("%d/%d/%d", c.triple[0], c.triple[1], c.triple[2])}}
			if c.want != sdk.Malformed && cmp.Diff(want, o.Result.Attributes) != "" {
				t.Errorf("attributes %v", o.Result.Attributes)
			}
		})
	}
}

func TestContextThatIsNotTakenIsReleasedWithoutEcho(t *testing.T) {
	for result := byte(1); result <= 4; result++ {
		accept := octets(t, goldenAccept)
		accept[74+25+4+2] = result
		o := sdktest.InProcess(t, Probe{}).Ask(t, question(), sdktest.Peer{
			sdktest.Recv(octets(t, goldenAssociate)), sdktest.Reply(accept),
			sdktest.Recv(octets(t, goldenRelease)), sdktest.Reply(octets(t, goldenReleaseRP))})
		if o.Err != nil || o.Result.Status != sdk.Declined {
			t.Errorf("result %d: %v %v", result, o.Result.Status, o.Err)
		}
	}
}

func TestFailureStatusIsReleasedAndDeclined(t *testing.T) {
	rsp := octets(t, goldenEchoRSP)
	binary.LittleEndian.PutUint16(rsp[len(rsp)-2:], 0x0122)
	peer := answering(t)
	peer[3] = sdktest.Reply(rsp)
	o := sdktest.InProcess(t, Probe{}).Ask(t, question(), peer)
	if o.Result.Status != sdk.Declined || !slices.Contains(o.Result.Attributes, sdk.Attribute{Name: "dicom.status", Value: "0122"}) {
		t.Errorf("%+v", o.Result)
	}
}

// Orthanc takes an association from a stranger and then aborts at the C-ECHO; a prober that released
// after that hung (D4).
func TestNothingIsSentAfterAnAbort(t *testing.T) {
	abort := sdktest.Reply([]byte{7, 0, 0, 0, 0, 4, 0, 0, 2, 6})
	whole := answering(t)
	for _, before := range []int{1, 3, 5} {
		o := sdktest.InProcess(t, Probe{}).Ask(t, question(), append(slices.Clone(whole[:before]), abort))
		if o.Err != nil || o.Result.Status != sdk.Unexpected || len(o.Sent) != (before+1)/2 {
			t.Errorf("after %d steps: %v after %d messages, %v", before, o.Result.Status, len(o.Sent), o.Err)
		}
		if !slices.Contains(o.Result.Attributes, sdk.Attribute{Name: "dicom.abort", Value: "2/6"}) {
			t.Errorf("attributes %v", o.Result.Attributes)
		}
	}
}

func TestAnswerWithoutReleaseIsToldAsSuch(t *testing.T) {
	o := sdktest.InProcess(t, Probe{}).Ask(t, question(), append(answering(t)[:5], sdktest.Close(sdk.EndTimeout)))
	if o.Result.Status != sdk.Answered || !slices.Contains(o.Result.Attributes, sdk.Attribute{Name: "dicom.release", Value: "none"}) {
		t.Errorf("%+v", o.Result)
	}
}

// Every PDU in every state: nothing is sent but what the protocol asks for there.
func TestEveryPDUInEveryState(t *testing.T) {
	pdus := map[byte][]byte{
		1: octets(t, goldenAssociate), 2: octets(t, goldenAccept), 3: {3, 0, 0, 0, 0, 4, 0, 1, 1, 1},
		4: octets(t, goldenEchoRSP), 5: octets(t, goldenRelease), 6: octets(t, goldenReleaseRP),
		7: {7, 0, 0, 0, 0, 4, 0, 0, 0, 0}, 8: {8, 0, 0, 0, 0, 0}, 0: {0, 0, 0, 0, 0, 0},
	}
	whole := answering(t)
	want := map[int]map[byte]sdk.Status{ // steps before, PDU: the one that goes on or ends well
		1: {2: sdk.NoReply, 3: sdk.Declined}, 3: {4: sdk.Answered}, 5: {6: sdk.Answered},
	}
	for before, good := range want {
		for kind, pdu := range pdus {
			o := sdktest.InProcess(t, Probe{}).Ask(t, question(), append(slices.Clone(whole[:before]), sdktest.Reply(pdu)))
			status, goesOn := good[kind]
			if !goesOn {
				status = sdk.Unexpected
			}
			if o.Result.Status != status {
				t.Errorf("PDU %02XH after %d steps: %v, want %v", kind, before, o.Result.Status, status)
			}
			if sent := (before + 1) / 2; !goesOn && len(o.Sent) != sent {
				t.Errorf("PDU %02XH after %d steps: %d messages, want %d", kind, before, len(o.Sent), sent)
			}
		}
	}
}

func TestBrokenRepliesAreMalformed(t *testing.T) {
	ac := func(change func([]byte) []byte) []byte { return change(octets(t, goldenAccept)) }
	rsp := func(change func([]byte) []byte) []byte { return change(octets(t, goldenEchoRSP)) }
	whole := answering(t)
	for name, c := range map[string]struct {
		before int
		reply  []byte
	}{
		"protocol version 2":       {1, ac(func(b []byte) []byte { b[7] = 2; return b })},
		"another context id":       {1, ac(func(b []byte) []byte { b[103] = 3; return b })},
		"context result 5":         {1, ac(func(b []byte) []byte { b[105] = 5; return b })},
		"another transfer syntax":  {1, ac(func(b []byte) []byte { b[127] = '1'; return b })},
		"another application":      {1, ac(func(b []byte) []byte { b[98] = '2'; return b })},
		"without user information": {1, ac(func(b []byte) []byte { b = b[:128]; b[5] = 122; return b })},
		"item beyond the end":      {1, ac(func(b []byte) []byte { b[77] = 0xff; return b })},
		"length beyond the end":    {1, ac(func(b []byte) []byte { b[2] = 0xff; return b })},
		"class UID of words":       {1, ac(func(b []byte) []byte { b[145] = 'x'; return b })},
		"two contexts":             {1, ac(twoContexts)},
		"another message id":       {3, rsp(func(b []byte) []byte { b[68]++; return b })},
		"another SOP class":        {3, rsp(func(b []byte) []byte { b[48] = '2'; return b })},
		"a data set follows":       {3, rsp(func(b []byte) []byte { b[78] = 0; return b })},
		"odd length":               {3, rsp(func(b []byte) []byte { b[64] = 3; return b })},
		"value beyond the end":     {3, rsp(func(b []byte) []byte { b[31] = 0xff; return b })},
		"group length too small":   {3, rsp(func(b []byte) []byte { b[20] = 0x10; return b })},
		"another group":            {3, rsp(func(b []byte) []byte { b[24] = 8; return b })},
		"descending":               {3, rsp(func(b []byte) []byte { b[53] = 0; return b })},
		"first fragment only":      {3, rsp(func(b []byte) []byte { b[11] = 1; return b })},
		"a data fragment":          {3, rsp(func(b []byte) []byte { b[11] = 2; return b })},
		"two values":               {3, rsp(func(b []byte) []byte { b[9]--; return b })},
		"release with one octet":   {5, []byte{6, 0, 0, 0, 0, 1, 0}},
		"reject with eight octets": {1, []byte{3, 0, 0, 0, 0, 8, 0, 1, 1, 1, 0, 0, 0, 0}},
		"abort with nothing":       {3, []byte{7, 0, 0, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			o := sdktest.InProcess(t, Probe{}).Ask(t, question(), append(slices.Clone(whole[:c.before]), sdktest.Reply(c.reply)))
			if o.Err != nil || o.Result.Status != sdk.Malformed || len(o.Sent) != (c.before+1)/2 {
				t.Errorf("%v (%s) after %d messages, %v", o.Result.Status, o.Result.Detail, len(o.Sent), o.Err)
			}
		})
	}
}

func twoContexts(b []byte) []byte {
	b = slices.Insert(b, 99, b[99:128]...)
	b[5] += 29
	return b
}

// Eight octets of this shape cost go-dicom's reader a gibibyte.
func TestFalseLengthAllocatesNothing(t *testing.T) {
	b := octets(t, "00000000 f0ffff7f")
	sdktest.Bounded(t, len(b), func() {
		if _, err := readCommand(b); err == nil {
			t.Error("read")
		}
	})
}

func TestProbeConforms(t *testing.T) {
	sdktest.Conform(t, Probe{}, sdktest.Example{Question: question(), Peer: answering(t)})
}

func TestRealProcessAsksAndReads(t *testing.T) {
	h := sdktest.Built(t, "./cmd/primum-probe-dicom")
	if d := h.Describe(t); d.Name != "dicom" {
		t.Errorf("describes itself as %v", d)
	}
	if o := h.Ask(t, question(), answering(t)); o.Err != nil || o.Result.Status != sdk.Answered || len(o.Result.Facts) != 2 {
		t.Errorf("outcome %+v", o)
	}
}

func FuzzAssociate(f *testing.F) { fuzz(f, 1) }

func FuzzEcho(f *testing.F) { fuzz(f, 3) }

// fuzz gives the octets as the reply after some steps of a good conversation.
func fuzz(f *testing.F, before int) {
	f.Fuzz(func(t *testing.T, b []byte) {
		sdktest.Bounded(t, len(b), func() {
			conversation, err := Probe{}.Begin(question())
			if err != nil {
				t.Fatal(err)
			}
			if before == 3 {
				conversation.Next()
				conversation.Read(sdk.Reply{Message: octets(t, goldenAccept)})
			}
			conversation.Next()
			conversation.Read(sdk.Reply{Message: b})
			next := conversation.Next()
			if next != nil && before == 3 && len(next) != 10 || len(next) > 80 {
				t.Errorf("an answer of % x calls for % x", b, next)
			}
			if r := conversation.Result(sdk.EndTimeout); before == 1 && r.Status == sdk.Answered {
				t.Errorf("answered without an echo: % x", b)
			}
		})
	})
}
