package lab

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"
)

func TestSNMPDevicesMisbehaveAsTold(t *testing.T) {
	for _, c := range []struct {
		name  string
		does  Behaviour
		check func(t *testing.T, answer string)
	}{
		{"malformed", Behaviour{Malformed: true}, func(t *testing.T, a string) {
			if _, _, _, err := takeTLV([]byte(a)); err == nil {
				t.Error("the answer is well formed")
			}
		}},
		{"wrong request-id", Behaviour{WrongRequestID: true}, func(t *testing.T, a string) {
			if strings.Contains(a, "\x02\x04\x40\x00\x00\x07") {
				t.Error("the answer has the request's id")
			}
		}},
		{"oversize", Behaviour{Oversize: true}, func(t *testing.T, a string) {
			if len(a) < 4096 {
				t.Errorf("the answer has %d octets", len(a))
			}
		}},
		{"late", Behaviour{Delay: 50 * time.Millisecond}, func(t *testing.T, a string) {
			if !strings.Contains(a, "Test Monitor") {
				t.Errorf("the answer is %q", a)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := start(t, with(monitor(), func(d *DeviceConfig) { d.Behaviour = c.does })).Devices()[0]
			v := dial(t, "udp4", d.SNMPAddr())
			began := time.Now()
			v.say(string(sysGroup(7)))
			c.check(t, v.hear())
			if took := time.Since(began); took < c.does.Delay {
				t.Errorf("answered after %s", took)
			}
			wantHarm(t, d, 0)
		})
	}
}

func TestADeviceGoesSilentAndRestartsAfterSomeAnswers(t *testing.T) {
	d := start(t, with(monitor(), func(c *DeviceConfig) {
		c.SNMP.Uptime = 100 * time.Hour
		c.Behaviour = Behaviour{RestartAfter: 1, SilentAfter: 2}
	})).Devices()[0]
	v := dial(t, "udp4", d.SNMPAddr())
	uptime := func(id uint32) uint32 {
		v.say(string(sysGroup(id)))
		answer := v.hear()
		at := strings.Index(answer, "\x2b\x06\x01\x02\x01\x01\x03\x00") + 8
		value := make([]byte, 4)
		n := int(answer[at+1])
		copy(value[4-n:], answer[at+2:at+2+n])
		return binary.BigEndian.Uint32(value)
	}
	before, after := uptime(1), uptime(2)
	if before < 36_000_000 || after > 1000 {
		t.Errorf("uptime %d and then %d hundredths, want a restart", before, after)
	}
	v.say(string(sysGroup(3)))
	v.quiet(30 * time.Millisecond)
	wantHarm(t, d, 0)
}

func TestScannersMisbehaveAsToldAndACarefulVisitorHarmsNone(t *testing.T) {
	rq := string(associateRequest("SCANNER", "PRIMUM"))
	for _, c := range []struct {
		name  string
		does  Behaviour
		visit func(t *testing.T, v visitor)
	}{
		{"rejection", Behaviour{Reject: &Reject{2, 3, 2}}, func(t *testing.T, v visitor) {
			v.say(rq)
			if got := v.hear(); got != "\x03\x00\x00\x00\x00\x04\x00\x02\x03\x02" {
				t.Errorf("A-ASSOCIATE-RJ is %q", got)
			}
		}},
		{"context refused", Behaviour{ContextResult: 3}, func(t *testing.T, v visitor) {
			v.say(rq)
			if got := v.hear(); !strings.Contains(got, "\x01\x00\x03\x00\x40") {
				t.Errorf("A-ASSOCIATE-AC is %q", got)
			}
			v.say(goldenRelease)
			v.hear()
		}},
		{"abort after echo", Behaviour{AbortAfterEcho: true}, func(t *testing.T, v visitor) {
			v.say(rq)
			v.hear()
			v.say(goldenEcho)
			if got := v.hear(); got != "\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00" {
				t.Errorf("A-ABORT is %q", got)
			}
		}},
		{"oversize", Behaviour{Oversize: true}, func(t *testing.T, v visitor) {
			v.say(rq)
			head := make([]byte, 6)
			if _, err := io.ReadFull(v, head); err != nil || binary.BigEndian.Uint32(head[2:]) < 20<<10 {
				t.Errorf("header % X, %v", head, err)
			}
			v.say(goldenAbort)
		}},
		{"malformed", Behaviour{Malformed: true}, func(t *testing.T, v visitor) {
			v.say(rq)
			if got := v.hear(); got[0] == 2 {
				t.Errorf("answer is %q", got)
			}
			v.say(goldenAbort)
		}},
		{"slow", Behaviour{SlowByte: 100 * time.Microsecond}, func(t *testing.T, v visitor) {
			for i, m := range []string{rq, goldenEcho, goldenRelease} {
				v.say(m)
				head := make([]byte, 6)
				if _, err := io.ReadFull(v, head); err != nil {
					t.Fatal(err)
				}
				body := make([]byte, binary.BigEndian.Uint32(head[2:]))
				if _, err := io.ReadFull(v, body); err != nil || head[0] != []byte{2, 4, 6}[i] {
					t.Fatalf("answer %d is % X, %v", i, head, err)
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := start(t, with(scanner(), func(d *DeviceConfig) { d.Behaviour, d.Idle = c.does, 2*time.Second })).Devices()[0]
			v := dial(t, "tcp4", d.DICOMAddr())
			c.visit(t, v)
			v.finish()
			wantHarm(t, d, 0)
		})
	}
}

func TestGatewaysMisbehaveAsTold(t *testing.T) {
	for _, c := range []struct {
		name string
		does Behaviour
		want string
	}{
		{"wrong code", Behaviour{WrongCode: "AE"}, "\rMSA|AE|" + control1 + "\r"},
		{"wrong control id", Behaviour{WrongControlID: true}, "\rMSA|AA|SP0000000000000000\r"},
		{"oversize", Behaviour{Oversize: true}, strings.Repeat("X", 20<<10)},
		{"slow", Behaviour{SlowByte: 100 * time.Microsecond}, "\x1c\r"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := start(t, with(gateway(), func(d *DeviceConfig) { d.Behaviour, d.Idle = c.does, 2*time.Second })).Devices()[0]
			v := dial(t, "tcp4", d.HL7Addr())
			v.say(nmd(control1))
			if got := v.finish(); !strings.Contains(got, c.want) {
				t.Errorf("ACK is %q, want %q in it", got, c.want)
			}
			wantHarm(t, d, 0)
		})
	}
}

func TestADeviceResetsItsVisitorAndThatHarmsNobody(t *testing.T) {
	d := start(t, with(scanner(), func(c *DeviceConfig) { c.Behaviour.ResetAfter = 2 })).Devices()[0]
	v := dial(t, "tcp4", d.DICOMAddr())
	v.say(string(associateRequest("SCANNER", "PRIMUM")))
	v.hear()
	v.say(goldenEcho)
	if _, err := v.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("read gave %v, want a reset", err)
	}
	wantHarm(t, d, 0)
}

func TestAnAnswerToAClosedPortIsCounted(t *testing.T) {
	d := start(t, with(monitor(), func(c *DeviceConfig) { c.Behaviour.Delay = 50 * time.Millisecond })).Devices()[0]
	v := dial(t, "udp4", d.SNMPAddr())
	v.say(string(sysGroup(7)))
	_ = v.Close()
	if r := settle(t, d, func(r DeviceReport) bool { return r.RefusedAnswers == 1 }); r.RefusedAnswers != 1 || r.Harmed() {
		t.Errorf("report %+v, want one refused answer and no harm", r)
	}
	// The next visitor is answered all the same.
	v = dial(t, "udp4", d.SNMPAddr())
	v.say(string(sysGroup(8)))
	if got := v.hear(); !strings.Contains(got, "Test Monitor") {
		t.Errorf("answer is %q", got)
	}
}
