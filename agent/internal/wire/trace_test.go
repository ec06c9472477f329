package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/papertest"
	"primum/agent/internal/secret"
	"primum/agent/internal/task"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/frame"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

// admitted is a ticket for a question, with all papers genuine and everything else as it should be.
func admitted(t testing.TB, o papertest.Options) *guard.Ticket {
	t.Helper()
	p := papertest.Make(t, time.Now(), o)
	tk, no := task.Verify(p.Permit(t, nil), task.Self{Name: papertest.Agent, Epoch: 1, PermitKey: p.PermitKey}, func(permit.Digest) (task.Approved, bool) {
		return task.Approved{Plan: p.Plan, Digest: p.Digest}, true
	})
	if no != nil {
		t.Fatal(no)
	}
	start := time.Now()
	boot := func() time.Duration { return time.Hour + time.Since(start) }
	g := guard.New(guard.Config{Policy: list.Lab, Boot: boot,
		Append:  func(...evidence.Record) (uint64, error) { return 1, nil },
		Release: func() *release.Release { return p.Release }, Prove: func(list.Device, time.Time) *list.Refusal { return nil }})
	g.SetLease(guard.Lease{Until: 4 * time.Hour, DurableLSN: 1, Wall: start, Boot: boot()})
	if !g.SetHolds(0, nil) {
		t.Fatal("the hold state was not taken")
	}
	v := g.Admit(tk, 0, time.Now())
	if v.Ticket == nil {
		t.Fatalf("%+v", v)
	}
	return v.Ticket
}

// scripted is a connection to a device that answers with what it was given, and keeps what it heard.
type scripted struct {
	heard   [][]byte
	replies [][]byte
	open    []byte
}

func (s *scripted) Write(b []byte) (int, error) {
	s.heard = append(s.heard, bytes.Clone(b))
	s.open = nil
	if len(s.replies) > 0 {
		s.open, s.replies = s.replies[0], s.replies[1:]
	}
	return len(b), nil
}

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.open) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.open)
	s.open = s.open[n:]
	return n, nil
}

func (s *scripted) Close() error                     { return nil }
func (s *scripted) LocalAddr() net.Addr              { return nil }
func (s *scripted) RemoteAddr() net.Addr             { return nil }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

type unrecorded struct{}

func (unrecorded) Sent(time.Time, string, []byte) error { return nil }
func (unrecorded) Got(time.Time, []byte) error          { return nil }

// language is one approved question with a grammar of what may be on the wire for it, as a regular expression
// over hex of the messages, a semicolon after each. The grammars were written by hand from WIRE-RULES 2.2, D1 to
// D3 and H2 to H3, and share nothing with the guard; what varies is named by a group.
type language struct {
	name     string
	question string
	grammar  string
	groups   []string // rid: request-id, cid: control id, when: MSH-7
	device   func(list.Device) list.Device
	replies  func(n frame.Nonce) [][]byte
	more     [][]byte // what a hostile probe may know of the protocol besides
}

const secretCommunity = "ward-7-read"

func text(s string) string { return hex.EncodeToString([]byte(s)) }

func languages() []language {
	const system = "300c06082b060102010101000500" + "300c06082b060102010103000500"
	get := func(version string) string {
		// 26 octets of message head, 30 of bindings
		return "^(?:303c0201" + version + "040b" + text(secretCommunity) + "a02a" + "0204(?P<rid>[0-9a-f]{8})" + "020100020100" + "301c" + system + ";)?$"
	}
	uid := frame.ImplementationClassUID
	associate := fmt.Sprintf("0100%08x00010000", 165+len(uid)-6) + text("DEVICE          PRIMUM          ") + strings.Repeat("00", 32) +
		"10000015" + text("1.2.840.10008.3.1.1.1") + "2000002e01000000" + "30000011" + text("1.2.840.10008.1.1") + "40000011" + text("1.2.840.10008.1.2") +
		fmt.Sprintf("500000%02x", 12+len(uid)) + "5100000400004000" + fmt.Sprintf("520000%02x", len(uid)) + text(uid)
	echo := "04000000004a" + "000000460103" + "000000000400000038000000" + "0000020012000000" + text("1.2.840.10008.1.1") + "00" +
		"00000001020000003000" + "00001001020000000100" + "00000008020000000101"
	const release, abort = "05000000000400000000", "07000000000400000000"
	msh := "0b" + text("MSH|^~\\&|PRIMUM|SITE|APP|FAC|") + "(?P<when>(?:3[0-9]){14})" + text("+0000||NMD^N02^NMD_N02|") + "(?P<cid>5350(?:3[0-9]|4[1-6]){16})" + text("|T|2.5.1\rNST|N\r") + "1c0d"
	ac := append([]byte{2, 0, 0, 0, 0, 76}, make([]byte, 68)...)
	ac = append(ac, 0x21, 0, 0, 4, 1, 0, 0, 0)
	rsp, _ := hex.DecodeString("0400000000540000005001030000000004000000420000000000020012000000" + text("1.2.840.10008.1.1") + "00" + "00000001020000003080" + "00002001020000000100" + "00000008020000000101" + "00000009020000000000")
	rp := []byte{6, 0, 0, 0, 0, 4, 0, 0, 0, 0}
	vendor := `{kind: tcp.aldane.status, port: "4001", messages: [
      {words: identity, parts: [{bytes: "0249"}, {field: unit, charset: digits, min: 1, max: 3}, {bytes: "03"}, {bytes: "00", mask: "80"}], reply: {max: 64, until: "03"}},
      {words: status, parts: [{bytes: "025303"}], least: 0, most: 2, reply: {max: 16, length: 5}}]}`
	return []language{
		{name: "SNMPv2c", question: `{kind: snmp.get, port: "10161", oids: [1.3.6.1.2.1.1.1.0, 1.3.6.1.2.1.1.3.0]}`, grammar: get("01"), groups: []string{"rid"},
			replies: func(n frame.Nonce) [][]byte { return [][]byte{response(1, n.RequestID)} }},
		{name: "SNMPv1", question: `{kind: snmp.get, port: "10161", snmp_version: "1", oids: [1.3.6.1.2.1.1.1.0, 1.3.6.1.2.1.1.3.0]}`, grammar: get("00"), groups: []string{"rid"},
			device:  func(d list.Device) list.Device { d.SNMPVersion = list.SNMPv1; return d },
			replies: func(n frame.Nonce) [][]byte { return [][]byte{response(0, n.RequestID)} }},
		{name: "DICOM", question: `{kind: dicom.echo, port: "11112", calling_ae: PRIMUM}`,
			grammar: "^(?:" + associate + ";(?:" + echo + ";)?(?:" + release + ";|" + abort + ";)?)?$", replies: func(frame.Nonce) [][]byte { return [][]byte{ac, rsp, rp} }},
		{name: "HL7", question: `{kind: hl7.ack, port: "2575", hl7_version: 2.5.1, expect: AA}`, grammar: "^(?:" + msh + ";)?$", groups: []string{"cid", "when"},
			replies: func(n frame.Nonce) [][]byte {
				return [][]byte{[]byte("\x0bMSH|^~\\&|APP|FAC|PRIMUM|SITE|20260102030405||ACK|1|T|2.5.1\rMSA|AA|" + n.ControlID + "\r\x1c\r")}
			}},
		{name: "a vendor's own", question: vendor, grammar: "^(?:0249(?:3[0-9]){1,3}03[0-7][0-9a-f];(?:025303;){0,2})?$",
			replies: func(frame.Nonce) [][]byte { return [][]byte{[]byte("\x02ID\x03"), []byte("12345"), []byte("12345")} },
			more:    [][]byte{[]byte("\x02I7\x03\x01"), []byte("\x02S\x03"), []byte("\x02I123\x03\x7f"), []byte("\x02W1\x03\x01")}},
	}
}

// response is the reply of an agent of version v: two empty values.
func response(v byte, id uint32) []byte {
	b, _ := hex.DecodeString("303c0201" + fmt.Sprintf("%02x", v) + "040b" + text(secretCommunity) + "a22a0204" + fmt.Sprintf("%08x", id) + "020100020100301c300c06082b060102010101000500300c06082b060102010103000500")
	return b
}

// hostile is a probe that tries its luck: it knows the approved messages and everything near them.
func hostile(r *rand.Rand, approved, others [][]byte, n int) []byte {
	pick := func(of [][]byte) []byte { return bytes.Clone(of[r.IntN(len(of))]) }
	var b []byte
	switch r.IntN(8) {
	case 0, 1, 2: // often the right one, so that traces get far
		if n < len(approved) {
			return bytes.Clone(approved[n])
		}
		return pick(approved)
	case 3:
		b = pick(others)
	case 4:
		b = make([]byte, r.IntN(200))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	case 5:
		return append(pick(approved), pick(others)...)
	default:
		b = pick(approved)
	}
	for range r.IntN(3) + 1 {
		if len(b) == 0 {
			break
		}
		i := r.IntN(len(b))
		switch r.IntN(5) {
		case 0:
			b[i] ^= 1 << r.IntN(8)
		case 1:
			b[i] = byte(r.Uint32())
		case 2:
			b = b[:i]
		case 3:
			b = append(b[:i], append([]byte{byte(r.Uint32())}, b[i:]...)...)
		default:
			b = append(b[:i], b[i+1:]...)
		}
	}
	return b
}

// dangerous are real messages that nobody approved: SET, GETNEXT and GETBULK, C-STORE, a second association, an
// ADT, NCK, a message for production.
func dangerous() (out [][]byte) {
	for _, s := range []string{
		"303102010104077072697661746 5a323020401020304020100020100301530130608", "3026020101040670 75626c6963a1190204010203040201000201003 00b300906052b060102010500",
		"3026020101040670 75626c6963a5190204010203040201000201323 00b300906052b060102010500", "04000000004a0000004601030000000004000000380000000000020012000000",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err == nil {
			out = append(out, b)
		}
	}
	return append(out, []byte("\x0bMSH|^~\\&|PRIMUM|SITE|APP|FAC|20260102030405+0000||NMD^N02^NMD_N02|SP0123456789ABCDEF|P|2.5.1\rNST|N\r\x1c\r"),
		[]byte("\x0bMSH|^~\\&|PRIMUM|SITE|APP|FAC|20260102030405+0000||NMD^N02^NMD_N02|SP0123456789ABCDEF|T|2.5.1\rNCK|20260102030405\r\x1c\r"),
		[]byte("\x0bMSH|^~\\&|A|B|C|D|20260102||ADT^A01|1|P|2.5\rPID|||1\r\x1c\r"), []byte("GET / HTTP/1.0\r\n\r\n"), nil)
}

// traces is how many conversations of hostile probes are tried of each language.
func traces(t testing.TB) int {
	if n, err := strconv.Atoi(os.Getenv("PRIMUM_TRACES")); err == nil {
		return n
	}
	return 4000
}

// P1, B1: whatever a probe proposes and however a device answers, what is on the wire is in the approved
// language, by a grammar that was written apart from the guard. "make traces" tries a million.
func TestWhateverAProbeProposesTheWireSpeaksTheApprovedLanguage(t *testing.T) {
	for _, l := range languages() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			o := papertest.Options{Question: l.question, Address: netip.MustParseAddrPort("127.0.0.1:10161")}
			if l.device != nil {
				o.Device = func(d *list.Device) { *d = l.device(*d) }
			}
			ticket := admitted(t, o)
			grammar := regexp.MustCompile(l.grammar)
			seed := uint64(time.Now().UnixNano())
			r := rand.New(rand.NewPCG(seed, 1))
			whole, refused := 0, 0
			for n := range traces(t) {
				c, dev := tried(t, r, l, ticket)
				wire := spoken(dev.heard)
				m := grammar.FindStringSubmatch(wire)
				if m == nil {
					t.Fatalf("seed %d, trace %d: on the wire: %s", seed, n, wire)
				}
				want := map[string]string{"rid": fmt.Sprintf("%08x", c.nonce.RequestID), "cid": text(c.nonce.ControlID), "when": text(c.nonce.Time.UTC().Format("20060102150405"))}
				for _, g := range l.groups {
					if got := m[grammar.SubexpIndex(g)]; got != "" && got != want[g] && !short(g, got, want[g]) {
						t.Fatalf("seed %d, trace %d: %s is %s, not %s", seed, n, g, got, want[g])
					}
				}
				switch c.s.End {
				case Complete:
					whole++
				case Breach:
					refused++
				}
			}
			if whole == 0 && l.name != "a vendor's own" || refused == 0 {
				t.Errorf("seed %d: %d conversations were whole and %d refused: the traces do not get far", seed, whole, refused)
			}
		})
	}
}

// short lets a request-id pass that takes fewer octets; the grammar has those of four alone, as all but one in
// 256 have.
func short(group, got, want string) bool {
	return group == "rid" && strings.TrimLeft(want, "0") == strings.TrimLeft(got, "0")
}

// tried holds one conversation of a hostile probe with a device that may answer anything.
func tried(t testing.TB, r *rand.Rand, l language, ticket *guard.Ticket) (*Conversation, *scripted) {
	t.Helper()
	c, err := new(Dialer).Open(ticket, &secret.Credential{Community: []byte(secretCommunity)}, unrecorded{})
	if err != nil {
		t.Fatal(err)
	}
	c.nonce.RequestID |= 0x01000000 // four octets, as the grammar has it
	q := ticket.Task().Query()
	approved := l.more
	if !q.Kind().Vendor() {
		all, err := frame.Messages(q, c.nonce)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			approved = append(approved, m.Bytes)
		}
	}
	dev := &scripted{replies: l.replies(c.nonce)}
	for i := range dev.replies {
		switch r.IntN(12) {
		case 0:
			dev.replies[i] = nil
		case 1:
			dev.replies[i] = hostile(r, dev.replies, dangerous(), i)
		case 2:
			dev.replies[i] = l.replies(c.nonce)[r.IntN(len(dev.replies))]
		}
	}
	c.conn, c.s.Connected = dev, true
	for n := range 1 + r.IntN(6) {
		_, _ = c.Exchange(t.Context(), hostile(r, approved, dangerous(), n)) // ended or not, a hostile probe goes on
	}
	if q.Kind().Transport() == "tcp" {
		c.abort()
	}
	return c, dev
}

func spoken(messages [][]byte) string {
	var b strings.Builder
	for _, m := range messages {
		b.WriteString(hex.EncodeToString(m))
		b.WriteByte(';')
	}
	return b.String()
}

// tshark is the third judge: it takes a sample of what went out for what it was approved as.
func TestTsharkReadsWhatIsSentAsTheApprovedMessages(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, c := range []struct {
		name, ports, decode, fields, want string
	}{
		{"SNMPv2c", "-u40000,161", "", "snmp.version snmp.community snmp.data snmp.name snmp.value.null", `^1\tward-7-read\t0\t1\.3\.6\.1\.2\.1\.1\.1\.0,1\.3\.6\.1\.2\.1\.1\.3\.0\t.*$`},
		{"SNMPv1", "-u40000,161", "", "snmp.version snmp.community snmp.data snmp.name", `^0\tward-7-read\t0\t1\.3\.6\.1\.2\.1\.1\.1\.0,1\.3\.6\.1\.2\.1\.1\.3\.0$`},
		{"DICOM", "-T40000,104", "tcp.port==104,dicom", "dicom.pdu.type dicom.assoc.ae.called dicom.pctx.abss.syntax", `^(0x01,0x04(,0x0[57])?|0x01(,0x0[57])?)\tDEVICE *\tVerification SOP Class \(1\.2\.840\.10008\.1\.1\)$`},
		{"HL7", "-T40000,2575", "tcp.port==2575,hl7", "hl7.message.type hl7.event.type hl7.segment", `^NMD\tN02\t(MSH|[^\t]*MSH[^\t]*)$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l language
			for _, x := range languages() {
				if x.name == c.name {
					l = x
				}
			}
			o := papertest.Options{Question: l.question, Address: netip.MustParseAddrPort("127.0.0.1:10161")}
			if l.device != nil {
				o.Device = func(d *list.Device) { *d = l.device(*d) }
			}
			ticket := admitted(t, o)
			var dump strings.Builder
			packets := 0
			for packets < 100 {
				_, dev := tried(t, r, l, ticket)
				all := bytes.Join(dev.heard, nil)
				if len(all) == 0 {
					continue
				}
				packets++
				for at := 0; at < len(all); at += 16 {
					fmt.Fprintf(&dump, "%06x % x\n", at, all[at:min(at+16, len(all))])
				}
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "sample.pcap")
			convert := exec.Command("text2pcap", "-q", c.ports, "-", file)
			convert.Stdin = strings.NewReader(dump.String())
			if out, err := convert.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			args := []string{"-n", "-r", file, "-T", "fields", "-E", "occurrence=a", "-o", "tcp.analyze_sequence_numbers:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"}
			if c.decode != "" {
				args = append(args, "-d", c.decode)
			}
			for f := range strings.FieldsSeq(c.fields) {
				args = append(args, "-e", f)
			}
			out, err := exec.Command("tshark", args...).Output()
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
			if len(lines) != packets {
				t.Fatalf("%d packets are read as %d", packets, len(lines))
			}
			want := regexp.MustCompile(c.want)
			for _, line := range lines {
				if !want.MatchString(line) {
					t.Fatalf("tshark reads %q", line)
				}
			}
		})
	}
}
