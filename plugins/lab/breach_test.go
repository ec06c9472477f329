package lab

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// wrongVisit is one scripted visitor that breaks a rule.
type wrongVisit struct {
	name       string
	device     DeviceConfig
	visit      func(t *testing.T, h *Hospital, d *Device)
	unapproved int
	want       []Code
}

func udp(messages ...[]byte) func(*testing.T, *Hospital, *Device) {
	return func(t *testing.T, _ *Hospital, d *Device) {
		v := dial(t, "udp4", d.SNMPAddr())
		for i, m := range messages {
			v.say(string(m))
			if i < len(messages)-1 {
				v.hear()
			}
		}
	}
}

// edit replaces the only occurrence of old.
func edit(t *testing.T, raw []byte, old, with string) []byte {
	t.Helper()
	if bytes.Count(raw, []byte(old)) != 1 {
		t.Fatalf("%q does not stand once in %q", old, raw)
	}
	return bytes.Replace(raw, []byte(old), []byte(with), 1)
}

func dicom(script func(v visitor)) func(*testing.T, *Hospital, *Device) {
	return func(t *testing.T, _ *Hospital, d *Device) { script(dial(t, "tcp4", d.DICOMAddr())) }
}

func hl7(script func(v visitor)) func(*testing.T, *Hospital, *Device) {
	return func(t *testing.T, _ *Hospital, d *Device) { script(dial(t, "tcp4", d.HL7Addr())) }
}

const askIdentity, askStatus = "\x0201I\x03\x48", "\x0201S001\x03\x52"

// line says the messages to a rack one by one, and leaves after the last.
func line(messages ...string) func(*testing.T, *Hospital, *Device) {
	return func(t *testing.T, _ *Hospital, d *Device) {
		v := dial(t, "tcp4", d.LineAddr())
		for i, m := range messages {
			v.say(m)
			if i < len(messages)-1 {
				v.hear()
			}
		}
		v.finish()
	}
}

// only says one thing that is wrong and leaves.
func only(message string) func(v visitor) {
	return func(v visitor) {
		v.say(message)
		v.finish()
	}
}

func associated(then func(v visitor)) func(*testing.T, *Hospital, *Device) {
	return dicom(func(v visitor) {
		v.say(string(associateRequest("SCANNER", "PRIMUM")))
		v.hear()
		then(v)
	})
}

func wrongVisits(t *testing.T) []wrongVisit {
	get := sysGroup(7)
	rq := string(associateRequest("SCANNER", "PRIMUM"))
	rested := with(monitor(), func(c *DeviceConfig) { c.GapAfterUDP = 0 })
	both := with(scanner(), func(c *DeviceConfig) { c.SNMP, c.Idle = monitor().SNMP, time.Second })
	swap := func(old, with string) string { return string(edit(t, []byte(nmd(control1)), old, with)) }
	return []wrongVisit{
		{"second datagram too soon", rested, udp(get, sysGroup(8)), 0, []Code{CodeGap}},
		{"datagram too soon after a connection", with(both, func(c *DeviceConfig) { c.GapAfterTCP = 0 }),
			func(t *testing.T, _ *Hospital, d *Device) {
				v := dial(t, "tcp4", d.DICOMAddr())
				for _, m := range []string{rq, goldenEcho, goldenRelease} {
					v.say(m)
					v.hear()
				}
				v.finish()
				settle(t, d, func(DeviceReport) bool { return true })
				dial(t, "udp4", d.SNMPAddr()).say(string(get))
			}, 0, []Code{CodeGap}},
		{"second connection", scanner(), func(t *testing.T, _ *Hospital, d *Device) {
			v := dial(t, "tcp4", d.DICOMAddr())
			v.say(rq)
			v.hear()
			second := dial(t, "tcp4", d.DICOMAddr())
			second.finish()
			v.finish()
		}, 0, []Code{CodeSecondConnection}},
		{"datagram during a connection", both, func(t *testing.T, _ *Hospital, d *Device) {
			v := dial(t, "tcp4", d.DICOMAddr())
			v.say(rq)
			v.hear()
			dial(t, "udp4", d.SNMPAddr()).say(string(get))
			for until := time.Now().Add(5 * time.Second); !hasCode(d.Report(), CodeConcurrent) && time.Now().Before(until); {
				time.Sleep(time.Millisecond)
			}
			v.finish()
		}, 0, []Code{CodeConcurrent}},
		{"datagram while an answer is under way", with(monitor(), func(c *DeviceConfig) { c.Behaviour.Delay = 10 * time.Second }),
			func(t *testing.T, _ *Hospital, d *Device) {
				v := dial(t, "udp4", d.SNMPAddr())
				v.say(string(get))
				v.say(string(sysGroup(8)))
			}, 0, []Code{CodeConcurrent}},
		{"datagram after the approved time", monitor(), func(t *testing.T, h *Hospital, d *Device) {
			past(t, h)
			udp(get)(t, h, d)
		}, len(get), []Code{CodeOutsideTime}},
		{"connection after the approved time", gateway(), func(t *testing.T, h *Hospital, d *Device) {
			past(t, h)
			only(nmd(control1))(dial(t, "tcp4", d.HL7Addr()))
		}, len(nmd(control1)) + 1, []Code{CodeOutsideTime}},
		{"datagram where nothing may arrive", with(monitor(), func(c *DeviceConfig) { c.Nothing = true }),
			udp(get), len(get), []Code{CodeForbidden}},
		{"empty datagram where nothing may arrive", with(monitor(), func(c *DeviceConfig) { c.Nothing = true }),
			udp(nil), 1, []Code{CodeForbidden}},
		{"connection to a closed port", with(monitor(), func(c *DeviceConfig) { c.Closed = []uint16{0} }),
			func(t *testing.T, _ *Hospital, d *Device) { dial(t, "tcp4", d.ClosedAddr(0)).finish() }, 1, []Code{CodeForbidden}},
		{"octets to a closed port", with(monitor(), func(c *DeviceConfig) { c.Closed = []uint16{0} }),
			func(t *testing.T, _ *Hospital, d *Device) { only("hello")(dial(t, "tcp4", d.ClosedAddr(0))) }, 6, []Code{CodeForbidden}},
		{"association where nothing may arrive", with(scanner(), func(c *DeviceConfig) { c.Nothing = true }),
			dicom(only(rq)), len(rq) + 1, []Code{CodeForbidden}},

		{"reset in mid-association", scanner(), associated(visitor.reset), 0, []Code{CodeReset}},
		{"reset after FIN", with(gateway(), func(c *DeviceConfig) { c.Behaviour.Delay = 200 * time.Millisecond }),
			hl7(func(v visitor) { v.say(nmd(control1)); _ = v.Close() }), 0, []Code{CodeReset}},
		{"connect and close", scanner(), dicom(func(v visitor) { v.finish() }), 0, []Code{CodeEmpty}},
		{"connect and reset", gateway(), hl7(visitor.reset), 0, []Code{CodeReset, CodeEmpty}},
		{"connect and wait", gateway(), hl7(func(v visitor) { v.hear2End() }), 0, []Code{CodeHeld}},
		{"answered and waiting", gateway(), hl7(func(v visitor) { v.say(nmd(control1)); v.hear(); v.hear2End() }), 0, []Code{CodeHeld}},

		{"485 octets", monitor(), udp(make([]byte, 485)), 485, []Code{CodeSNMPSize}},
		{"an octet after the message", monitor(), udp(append(sysGroup(7), 0)), len(get) + 1, []Code{CodeSNMPBER}},
		{"version 1", monitor(), udp(edit(t, get, "\x02\x01\x01\x04", "\x02\x01\x00\x04")), len(get), []Code{CodeSNMPVersion}},
		{"public", monitor(), udp(edit(t, get, testCommunity, "public0000000000")), len(get), []Code{CodeSNMPCommunity}},
		{"GetNextRequest", monitor(), udp(edit(t, get, "\xa0", "\xa1")), len(get), []Code{CodeSNMPType}},
		{"SetRequest", monitor(), udp(edit(t, get, "\xa0", "\xa3")), len(get), []Code{CodeSNMPType}},
		{"GetBulkRequest", monitor(), udp(edit(t, get, "\xa0", "\xa5")), len(get), []Code{CodeSNMPType}},
		{"negative request-id", monitor(), udp(edit(t, get, "\x40\x00\x00\x07", "\xc0\x00\x00\x07")), len(get), []Code{CodeSNMPRequestID}},
		{"error-status 1", monitor(), udp(edit(t, get, "\x02\x01\x00\x02\x01\x00\x30", "\x02\x01\x01\x02\x01\x00\x30")), len(get), []Code{CodeSNMPField}},
		{"sysContact", monitor(), udp(edit(t, get, "\x01\x01\x05\x00\x05\x00", "\x01\x01\x04\x00\x05\x00")), len(get), []Code{CodeSNMPOID}},
		{"sysDescr twice", monitor(), udp(edit(t, get, "\x01\x01\x05\x00\x05\x00", "\x01\x01\x01\x00\x05\x00")), len(get), []Code{CodeSNMPOID}},
		{"request-id used twice", monitor(), udp(get, shorter(get)), 0, []Code{CodeSNMPReused}},
		{"datagram sent twice", monitor(), udp(get, get), 0, []Code{CodeSNMPRepeated}},

		{"A-RELEASE-RP from the visitor", scanner(), associated(only("\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00")), 10, []Code{CodeDICOMPDU}},
		{"a TLS hello", scanner(), dicom(only("\x16\x03\x01\x02\x00\x01\x00")), 7, []Code{CodeDICOMPDU}},
		{"protocol version 2", scanner(), dicom(only(string(edit(t, []byte(rq), "\x00\x01\x00\x00SCANNER", "\x00\x02\x00\x00SCANNER")))), len(rq), []Code{CodeDICOMAssociate}},
		{"wrong called AE", scanner(), dicom(only(string(associateRequest("ANY-SCP", "PRIMUM")))), len(rq), []Code{CodeDICOMTitle}},
		{"wrong calling AE", scanner(), dicom(only(string(associateRequest("SCANNER", "ECHOSCU")))), len(rq), []Code{CodeDICOMTitle}},
		{"context 3", scanner(), dicom(only(string(edit(t, []byte(rq), "\x2e\x01\x00\x00\x00", "\x2e\x03\x00\x00\x00")))), len(rq), []Code{CodeDICOMContext}},
		{"user identity", scanner(), dicom(only(string(edit(t, []byte(rq), "\x55\x00", "\x58\x00")))), len(rq), []Code{CodeDICOMUserInfo}},
		{"C-STORE", scanner(), associated(only(string(edit(t, []byte(goldenEcho), "\x30\x00", "\x01\x00")))), 80, []Code{CodeDICOMEcho}},
		{"release of 6 octets", scanner(), associated(only("\x05\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00")), 12, []Code{CodeDICOMRelease}},
		{"echo before association", scanner(), dicom(only(goldenEcho)), 80, []Code{CodeDICOMOrder}},
		{"echo sent with the request", scanner(), dicom(only(rq + goldenEcho)), 80, []Code{CodeDICOMOrder}},
		{"second request", scanner(), associated(only(rq)), len(rq), []Code{CodeDICOMOrder}},
		{"half a PDU", scanner(), associated(only(goldenEcho[:40])), 40, []Code{CodeDICOMPartial}},
		{"no release after the echo", scanner(), associated(func(v visitor) { v.say(goldenEcho); v.hear(); v.finish() }), 0, []Code{CodeDICOMMissingRelease}},
		{"associate and leave", scanner(), associated(func(v visitor) { v.finish() }), 0, []Code{CodeDICOMMissingRelease}},
		{"associate and wait", scanner(), associated(visitor.hear2End), 0, []Code{CodeDICOMMissingRelease}},
		{"echo after release", scanner(), associated(func(v visitor) {
			v.say(goldenEcho)
			v.hear()
			v.say(goldenRelease)
			v.hear()
			v.say(goldenEcho)
			v.finish()
		}), 80, []Code{CodeDICOMAfterRelease}},

		{"no start block", gateway(), hl7(only(nmd(control1)[1:])), len(nmd(control1)) - 1, []Code{CodeHL7Frame}},
		{"frame of 513 octets", gateway(), hl7(only("\x0b" + strings.Repeat("A", 510) + "\x1c\r")), 513, []Code{CodeHL7Frame}},
		{"application of somebody else", gateway(), hl7(only(swap("|APP|", "|ADT|"))), len(nmd(control1)), []Code{CodeHL7Template}},
		{"ADT", gateway(), hl7(only(swap("NMD^N02^NMD_N02", "ADT^A01^ADT_A01"))), len(nmd(control1)), []Code{CodeHL7Type}},
		{"NCK", gateway(), hl7(only(swap("NST|N", "NCK|2026112402"))), len(nmd(control1)) + 9, []Code{CodeHL7Segment}},
		{"NSC", gateway(), hl7(only(swap("NST|N\r", "NST|N\rNSC|C\r"))), len(nmd(control1)) + 6, []Code{CodeHL7Segment}},
		{"production", gateway(), hl7(only(swap("|T|", "|P|"))), len(nmd(control1)), []Code{CodeHL7Processing}},
		{"no processing id", gateway(), hl7(only(swap("|T|", "||"))), len(nmd(control1)) - 1, []Code{CodeHL7Processing}},
		{"control id used twice", gateway(), func(t *testing.T, h *Hospital, d *Device) {
			for range 2 {
				hl7(only(nmd(control1)))(t, h, d)
				settle(t, d, func(DeviceReport) bool { return true })
			}
		}, 0, []Code{CodeHL7Reused}},
		{"second message", gateway(), hl7(func(v visitor) {
			v.say(nmd(control1))
			v.hear()
			v.say(nmd(control2))
			v.finish()
		}), len(nmd(control2)), []Code{CodeHL7Second}},
		{"half a frame", gateway(), hl7(only(nmd(control1)[:60])), 60, []Code{CodeHL7Partial}},

		{"a letter that does not exist", bedside(), line("\x0201W\x03\x56"), 6, []Code{CodeSerialFrame}},
		{"another unit", bedside(), line("\x0202I\x03\x4b"), 6, []Code{CodeSerialFrame}},
		{"a wrong check octet", bedside(), line("\x0201I\x03\x49"), 6, []Code{CodeSerialFrame}},
		{"a status with letters", bedside(), line(askIdentity, "\x0201Sabc\x03\x52"), 9, []Code{CodeSerialFrame}},
		{"an octet before the frame", bedside(), line("\x00" + askIdentity), 7, []Code{CodeSerialFrame}},
		{"the status first", bedside(), line(askStatus), 9, []Code{CodeSerialOrder}},
		{"the identity twice", bedside(), line(askIdentity, askIdentity), 6, []Code{CodeSerialOrder}},
		{"both at once", bedside(), line(askIdentity + askStatus), 9, []Code{CodeSerialOrder}},
		{"a third status", bedside(), line(askIdentity, askStatus, askStatus, askStatus), 9, []Code{CodeSerialCount}},
		{"half a serial frame", bedside(), line(askIdentity[:4]), 4, []Code{CodeSerialPartial}},
		{"a second connection to the line", bedside(), func(t *testing.T, _ *Hospital, d *Device) {
			v := dial(t, "tcp4", d.LineAddr())
			v.say(askIdentity)
			v.hear()
			w := dial(t, "tcp4", d.LineAddr())
			w.hear2End() // it is broken, and says so by its end
			v.finish()
		}, 0, []Code{CodeSecondConnection}},
		{"the line held", bedside(), func(t *testing.T, _ *Hospital, d *Device) {
			v := dial(t, "tcp4", d.LineAddr())
			v.say(askIdentity)
			v.hear()
			v.hear2End()
		}, 0, []Code{CodeHeld}},
	}
}

// shorter asks for three things with the same request-id.
func shorter(get []byte) []byte {
	out := bytes.Clone(get[:len(get)-14])
	out[1] -= 14
	for i := range out {
		if out[i] == 0xa0 {
			out[i+1] -= 14
		}
		if bytes.HasPrefix(out[i:], []byte("\x02\x01\x00\x02\x01\x00\x30")) {
			out[i+7] -= 14
		}
	}
	return out
}

// past tells the judge that the approved time is over.
func past(t *testing.T, h *Hospital) {
	t.Helper()
	end := time.Now().Add(-time.Minute)
	if err := h.SetWindow(Window{From: end.Add(-time.Hour), To: end, Slack: time.Second}); err != nil {
		t.Fatal(err)
	}
}

func (v visitor) hear2End() {
	v.t.Helper()
	buf := make([]byte, 1024)
	for {
		if _, err := v.Read(buf); err != nil {
			return
		}
	}
}

func TestEveryBreachIsDetectedAndBreaksAFragileDeviceForEver(t *testing.T) {
	for _, c := range wrongVisits(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, c.device)
			d := h.Devices()[0]
			c.visit(t, h, d)
			wantHarm(t, d, c.unapproved, c.want...)
			if d.SNMPAddr().IsValid() && !c.device.Nothing {
				v := dial(t, "udp4", d.SNMPAddr())
				v.say(string(sysGroup(99)))
				v.quiet(20 * time.Millisecond)
			}
		})
	}
}

func TestADeviceThatIsNotFragileRecordsHarmAndGoesOn(t *testing.T) {
	d := start(t, with(monitor(), func(c *DeviceConfig) { c.Fragile = false })).Devices()[0]
	v := dial(t, "udp4", d.SNMPAddr())
	v.say("what are you?")
	wantHarm(t, d, 13, CodeSNMPBER)
	v.say(string(sysGroup(1)))
	if got := v.hear(); !strings.Contains(got, "Test Monitor 1.0") {
		t.Errorf("answer %q has no sysDescr", got)
	}
	if r := d.Report(); !r.Harmed() || r.Broken || r.Answered != 1 {
		t.Errorf("report %+v, want harm, not broken, one answer", r)
	}
}

// Flood is judged without sockets: a datagram may be lost, a count may not.
func TestAFloodIsABreach(t *testing.T) {
	cfg := with(monitor(), func(c *DeviceConfig) { c.Fragile = false })
	cfg, _, err := cfg.settled()
	if err != nil {
		t.Fatal(err)
	}
	j := newJudge(cfg, testCommunity, &approvedTime{}, newCrowd())
	for range maxMessages + 5 {
		j.datagram(time.Now(), "", []byte("x"))
	}
	r := j.snapshot()
	if !hasCode(r, CodeFlood) || r.Messages != maxMessages+5 || r.UnapprovedBytes != maxMessages+5 {
		t.Errorf("report %+v, want a flood and every message counted", r)
	}
	if n := len(j.transcript()); n > 4*maxMessages {
		t.Errorf("transcript of %d entries", n)
	}
}

func hasCode(r DeviceReport, want Code) bool {
	for _, b := range r.Breaches {
		if b.Code == want {
			return true
		}
	}
	return false
}

func TestEveryRuleHasATestThatBreaksItAndWordsForIt(t *testing.T) {
	tried := map[Code]bool{CodeFlood: true}
	for _, c := range wrongVisits(t) {
		for _, code := range c.want {
			tried[code] = true
		}
	}
	for _, code := range Codes() {
		if !tried[code] {
			t.Errorf("no scripted visitor breaks %s", code)
		}
		if code.Words() == string(code) {
			t.Errorf("%s has no words", code)
		}
	}
}
