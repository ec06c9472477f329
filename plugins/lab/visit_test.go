package lab

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// careful is a visitor that keeps every rule.
func careful(t *testing.T, d *Device) {
	t.Helper()
	if d.SNMPAddr().IsValid() {
		v := dial(t, "udp4", d.SNMPAddr())
		v.say(string(sysGroup(uint32(time.Now().UnixNano() & 0xFFFFFF))))
		v.hear()
	}
	if d.DICOMAddr().IsValid() {
		v := dial(t, "tcp4", d.DICOMAddr())
		for _, m := range []string{string(associateRequest(d.cfg.DICOM.CalledAE, "PRIMUM")), goldenEcho, goldenRelease} {
			v.say(m)
			v.hear()
		}
		v.finish()
		settle(t, d, func(DeviceReport) bool { return true })
	}
	if d.HL7Addr().IsValid() {
		v := dial(t, "tcp4", d.HL7Addr())
		v.say(nmd(control1))
		v.hear()
		v.finish()
	}
}

func TestACarefulVisitorHarmsNobody(t *testing.T) {
	all := with(monitor(), func(c *DeviceConfig) { c.DICOM, c.HL7, c.Idle = scanner().DICOM, gateway().HL7, time.Second })
	h := start(t, all)
	d := h.Devices()[0]
	if err := h.SetWindow(Window{From: time.Now(), To: time.Now().Add(time.Minute), Slack: time.Second}); err != nil {
		t.Fatal(err)
	}
	careful(t, d)
	settle(t, d, func(r DeviceReport) bool { return r.Messages == 5 })
	want := Report{
		Hospital: "test",
		Devices: []DeviceReport{{
			Tag: "T-1", Name: "Test Monitor", Conversations: 3, Connections: 2, Messages: 5, Answered: 5, Fragile: true,
			Octets: len(sysGroup(1)) + len(associateRequest("", "")) + 80 + 10 + len(nmd(control1)),
		}},
		Totals: Totals{Conversations: 3, Messages: 5},
	}
	got := h.Report()
	crowd := got.Crowd
	got.Crowd = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if len(crowd) != 12 || crowd[11] != (CrowdReport{Scale: "hospital", Window: time.Minute, Most: 9}) { // five messages, two connections, two ends
		t.Errorf("the crowd is %v", crowd)
	}
	if !h.Report().Clean() {
		t.Error("the report is not clean")
	}
	if got := h.Report().Totals.String(); got != "devices harmed 0, unapproved bytes 0, conversations 3, messages 5" {
		t.Errorf("totals say %q", got)
	}
}

func TestAnswersAreWhatTheStandardsSay(t *testing.T) {
	d := start(t, with(monitor(), func(c *DeviceConfig) {
		c.DICOM, c.HL7, c.Idle, c.Fragile = scanner().DICOM, gateway().HL7, time.Second, false
		c.HL7.Code = "AR"
	})).Devices()[0]
	v := dial(t, "udp4", d.SNMPAddr())
	v.say(string(sysGroup(0x01020304)))
	got := v.hear()
	for _, want := range []string{
		"\xa2", "\x02\x04\x41\x02\x03\x04\x02\x01\x00\x02\x01\x00", "\x04\x10" + testCommunity,
		"\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00\x04\x10Test Monitor 1.0",
		"\x06\x08\x2b\x06\x01\x02\x01\x01\x02\x00\x06\x09\x2b\x06\x01\x04\x01\x86\x8d\x16\x01",
		"\x04\x09monitor-1",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("SNMP answer %q has no %q", got, want)
		}
	}
	c := dial(t, "tcp4", d.DICOMAddr())
	c.say(string(associateRequest("SCANNER", "PRIMUM")))
	got = c.hear()
	if got[0] != 2 || !strings.Contains(got, "\x21\x00\x00\x19\x01\x00\x00\x00\x40\x00\x00\x111.2.840.10008.1.2") || !strings.Contains(got, "\x55\x00\x00\x06TEST_1") {
		t.Errorf("A-ASSOCIATE-AC is %q", got)
	}
	c.say(goldenEcho)
	got = c.hear()
	if got[0] != 4 || !strings.Contains(got, "\x00\x00\x00\x01\x02\x00\x00\x00\x30\x80") || !strings.HasSuffix(got, "\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00") {
		t.Errorf("C-ECHO-RSP is %q", got)
	}
	c.say(goldenRelease)
	if got = c.hear(); got != "\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00" {
		t.Errorf("A-RELEASE-RP is %q", got)
	}
	c.finish()
	settle(t, d, func(DeviceReport) bool { return true })
	m := dial(t, "tcp4", d.HL7Addr())
	m.say(nmd(control1))
	got = m.hear()
	if !strings.Contains(got, "\rMSA|AR|"+control1+"\r") || !strings.Contains(got, "MSH|^~\\&|APP|FAC|PRIMUM|DEMOSITE|") {
		t.Errorf("ACK is %q", got)
	}
	m.finish()
	wantHarm(t, d, 0)
}

func TestARackTellsItsIdentityAndItsStatus(t *testing.T) {
	d := start(t, bedside()).Devices()[0]
	v := dial(t, "tcp4", d.LineAddr())
	for _, c := range []struct{ ask, answer string }{
		{askIdentity, "\x0201IRack;2.4.0;AR-2291\x03"}, {askStatus, "\x0201S001;OK;001234\x03"}, {"\x0201S999\x03\x52", "\x0201S999;OK;001234\x03"},
	} {
		v.say(c.ask)
		got := v.hear()
		check := byte(0)
		for i := 1; i < len(c.answer)-1; i++ {
			check ^= c.answer[i]
		}
		if want := c.answer + string([]byte{check}); got != want {
			t.Errorf("%q is answered by %q, want %q", c.ask, got, want)
		}
	}
	v.finish()
	wantHarm(t, d, 0)
}

func TestAnAssociationMayEndEarlyAndIsCounted(t *testing.T) {
	for _, c := range []struct {
		name  string
		last  string
		early int
	}{{"release before the echo", goldenRelease, 1}, {"abort before the echo", goldenAbort, 0}} {
		t.Run(c.name, func(t *testing.T) {
			d := start(t, scanner()).Devices()[0]
			associated(func(v visitor) { v.say(c.last); v.finish() })(t, nil, d)
			wantHarm(t, d, 0)
			if got := d.Report().EarlyReleases; got != c.early {
				t.Errorf("%d early releases, want %d", got, c.early)
			}
		})
	}
}

func TestASplitPDUIsRecordedAndAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, conn, done := piped(t, scanner())
		rq := associateRequest("SCANNER", "PRIMUM")
		for _, piece := range [][]byte{rq[:3], rq[3:100], rq[100:]} {
			if _, err := conn.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		hearPipe(t, conn)
		speakPipe(t, conn, goldenRelease)
		_ = conn.Close()
		<-done
		if r := j.snapshot(); r.SplitMessages != 1 || r.Messages != 2 || r.Harmed() {
			t.Errorf("report %+v, want one split message, two messages and no harm", r)
		}
	})
}

// piped serves one association over a pipe, so that time can be simulated.
func piped(t *testing.T, cfg DeviceConfig) (*judge, net.Conn, <-chan struct{}) {
	t.Helper()
	cfg, _, err := cfg.settled()
	if err != nil {
		t.Fatal(err)
	}
	j := newJudge(cfg, testCommunity, &approvedTime{}, newCrowd())
	near, far := net.Pipe()
	c := &call{j: j, v: j.connected(time.Now(), "dicom", "pipe", false), conn: far,
		lang: &association{cfg: cfg.DICOM, does: cfg.Behaviour}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.serve(context.Background())
	}()
	return j, near, done
}

func hearPipe(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Read(make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
}

func speakPipe(t *testing.T, conn net.Conn, message string) {
	t.Helper()
	if _, err := conn.Write([]byte(message)); err != nil {
		t.Fatal(err)
	}
	hearPipe(t, conn)
}

func TestFiveSecondsWithoutAReleaseBreakAScanner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, conn, done := piped(t, with(scanner(), func(c *DeviceConfig) { c.Idle = 0 }))
		speakPipe(t, conn, string(associateRequest("SCANNER", "PRIMUM")))
		time.Sleep(4900 * time.Millisecond)
		speakPipe(t, conn, goldenEcho)
		time.Sleep(4900 * time.Millisecond)
		synctest.Wait()
		if r := j.snapshot(); r.Harmed() {
			t.Fatalf("harm before five seconds: %+v", r.Breaches)
		}
		time.Sleep(200 * time.Millisecond)
		<-done
		if r := j.snapshot(); !hasCode(r, CodeDICOMMissingRelease) || !r.Broken {
			t.Errorf("report %+v, want a missing release", r)
		}
	})
}

func TestASilentScannerGivesItsVisitorTimeToGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, conn, done := piped(t, with(scanner(), func(c *DeviceConfig) { c.Idle, c.Behaviour.Silent = 0, true }))
		if _, err := conn.Write(associateRequest("SCANNER", "PRIMUM")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if _, err := conn.Write([]byte(goldenAbort)); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		<-done
		if r := j.snapshot(); r.Harmed() || r.Messages != 2 {
			t.Errorf("report %+v, want two messages and no harm", r)
		}
	})
}

// The rest of the default gaps is judged with told times, to the millisecond.
func TestGapsAreCountedFromTheLastOctet(t *testing.T) {
	from := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		tcp  bool
		gap  time.Duration
		want bool
	}{
		{"datagram 4499 ms after", false, 4499 * time.Millisecond, true},
		{"datagram 4500 ms after", false, 4500 * time.Millisecond, false},
		{"connection 49.999 s after a connection", true, 49999 * time.Millisecond, true},
		{"connection 50 s after a connection", true, 50 * time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, _, err := with(scanner(), func(d *DeviceConfig) {
				d.SNMP, d.GapAfterUDP, d.GapAfterTCP = monitor().SNMP, 0, 0
			}).settled()
			if err != nil {
				t.Fatal(err)
			}
			j := newJudge(cfg, testCommunity, &approvedTime{}, newCrowd())
			if c.tcp {
				v := j.connected(from.Add(-3*time.Second), "dicom", "", false)
				v.message(from, []byte(goldenRelease), 1, nil, nil, true)
				v.over()
			} else {
				j.datagram(from, "", sysGroup(1))
				j.settled()
			}
			j.connected(from.Add(c.gap), "dicom", "", false)
			if got := hasCode(j.snapshot(), CodeGap); got != c.want {
				t.Errorf("gap breach is %t, want %t: %+v", got, c.want, j.snapshot().Breaches)
			}
		})
	}
}

func TestAReleaseMayComeJustAfterTheApprovedTimeAndNothingElse(t *testing.T) {
	end := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		at      time.Duration
		closing bool
		want    bool
	}{
		{"message at the end", 0, false, false},
		{"message 1 ms after", time.Millisecond, false, true},
		{"release 1 s after", time.Second, true, false},
		{"release 1.001 s after", 1001 * time.Millisecond, true, true},
		{"message before the beginning", -time.Hour - time.Millisecond, false, true},
		{"release before the beginning", -time.Hour - time.Millisecond, true, true},
	} {
		approved := &approvedTime{}
		if err := approved.tell(Window{From: end.Add(-time.Hour), To: end, Slack: time.Second}); err != nil {
			t.Fatal(err)
		}
		if got := approved.breached(end.Add(c.at), c.closing) != nil; got != c.want {
			t.Errorf("%s: breach is %t, want %t", c.name, got, c.want)
		}
	}
	if err := (&approvedTime{}).tell(Window{From: end, To: end}); err == nil {
		t.Error("an empty approved time was taken")
	}
}
