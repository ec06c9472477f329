package vectors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/frame"
	"primum/safetylists/vectors"
)

// vector is one case.
type vector struct {
	head      map[string]string
	signedOff []string
	body      []byte
}

func read(t *testing.T, name string) vector {
	t.Helper()
	b, err := vectors.Files().ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, body, ok := bytes.Cut(b, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || lines[0] != "primum-vector/1" {
		t.Fatal("it has no head")
	}
	v := vector{head: map[string]string{}, body: body}
	for _, line := range lines[1:] {
		key, value, ok := strings.Cut(line, ": ")
		switch {
		case !ok && strings.HasSuffix(line, ":"):
			key = strings.TrimSuffix(line, ":")
		case !ok:
			t.Fatalf("head: %q", line)
		case key == "signed-off":
			v.signedOff = append(v.signedOff, value)
			continue
		}
		if _, twice := v.head[key]; twice {
			t.Fatalf("head: %s stands twice", key)
		}
		v.head[key] = value
	}
	for _, key := range []string{"type", "says", "clause", "expect"} {
		if v.head[key] == "" {
			t.Fatalf("head: %s is missing", key)
		}
	}
	return v
}

func strict(t *testing.T, text string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatal(err)
	}
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// each runs one test for each vector of a folder and returns how often each result was expected.
func each(t *testing.T, folder string, run func(*testing.T, vector)) map[string]int {
	t.Helper()
	names, err := fs.Glob(vectors.Files(), folder+"/*.vec")
	if err != nil || len(names) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	count := map[string]int{}
	for _, name := range names {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(name, folder+"/"), ".vec"), func(t *testing.T) {
			v := read(t, name)
			count[v.head["expect"]]++
			run(t, v)
		})
	}
	return count
}

func TestDecisions(t *testing.T) {
	count := each(t, "decision", func(t *testing.T, v vector) {
		var d list.Device
		strict(t, v.head["device"], &d)
		var spec list.QuerySpec
		strict(t, v.head["question"], &spec)
		q, err := list.ParseQuery(spec)
		if err != nil {
			t.Fatal(err)
		}
		var l *list.List
		if len(v.body) > 0 {
			f, err := list.Load("vector", v.body)
			if err != nil {
				t.Fatal(err)
			}
			site := list.Site{Name: "vector", Policy: list.Policy(v.head["policy"]), Facility: v.head["facility"]}
			for _, so := range v.signedOff {
				id, by, _ := strings.Cut(so, "=")
				k := slices.IndexFunc(f.Statements, func(s *list.Statement) bool { return s.ID == id })
				if k < 0 {
					continue // signed off is what the list does not have
				}
				site.SignOffs = append(site.SignOffs, list.SignOff{Statement: id, Digest: f.Statements[k].Digest, By: strings.Split(by, ",")})
			}
			if l, err = list.New([]*list.File{f}, site); err != nil {
				if v.head["expect"] != "LIST_REFUSED" {
					t.Fatal(err)
				}
				return
			}
		}
		dec := l.Decide(d, q, moment(t, v.head["at"]))
		got := dec.Reason
		if from := v.head["from"]; from != "" && dec.Allowed() {
			if no := dec.From(netip.MustParseAddr(from)); no != nil {
				got = no.Reason
			}
		}
		if string(got) != v.head["expect"] {
			t.Errorf("%s: %s (%s), want %s", v.head["says"], got, dec.Detail(), v.head["expect"])
		}
		if by := strings.Join(dec.Statements, " "); v.head["by"] != "" && by != v.head["by"] {
			t.Errorf("decided by %s, want %s", by, v.head["by"])
		}
	})
	// Every code that a list can give is expected somewhere.
	for _, r := range []list.Reason{list.Allowed, list.Denied, list.PortForbidden, list.StackHazard, list.CautionOnly, list.NotApproved,
		list.QuestionUnapproved, list.VersionUnknown, list.VersionOutside, list.IdentityUncertain, list.IdentityConflict, list.EvidenceTooWeak,
		list.NotSignedOff, list.ApprovalExpired, list.InUseUnknown, list.OptionUnknown, list.NotRegistered, list.NoList, list.SourceNotPermitted} {
		if count[string(r)] == 0 {
			t.Errorf("no vector expects %s", r)
		}
	}
}

func TestFiles(t *testing.T) {
	count := each(t, "file", func(t *testing.T, v vector) {
		f, err := list.Load("vector", v.body)
		switch v.head["expect"] {
		case "LOADS":
			if err != nil {
				t.Errorf("%s: %v", v.head["says"], err)
			}
		case "REFUSED":
			if err == nil || f != nil {
				t.Fatalf("%s: it loads", v.head["says"])
			}
			if !strings.Contains(err.Error(), v.head["names"]) {
				t.Errorf("%v: it does not name %q", err, v.head["names"])
			}
		default:
			t.Errorf("expect: %q", v.head["expect"])
		}
	})
	if count["LOADS"] == 0 || count["REFUSED"] == 0 {
		t.Errorf("expected: %v", count)
	}
}

func TestMessages(t *testing.T) {
	count := each(t, "message", func(t *testing.T, v vector) {
		var spec list.QuerySpec
		strict(t, v.head["question"], &spec)
		q, err := list.ParseQuery(spec)
		if err != nil {
			t.Fatal(err)
		}
		number := func(key string, bits int) uint64 {
			n, err := strconv.ParseUint(v.head[key], 10, bits)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		n := frame.Nonce{RequestID: uint32(number("request-id", 32)), MessageID: uint16(number("message-id", 16)), ControlID: v.head["control-id"], Time: moment(t, v.head["time"])}
		msg, err := frame.Check(q, n, int(number("step", 31)), v.body)
		if q.Kind().Vendor() {
			msg, _, err = frame.CheckTemplate(q, frame.Progress{Place: int(number("place", 31)), Times: int(number("times", 31))}, v.body)
		}
		switch v.head["expect"] {
		case "SENT":
			if err != nil || !bytes.Equal(msg.Bytes, v.body) {
				t.Errorf("%s: %v\n got %x\nwant %x", v.head["says"], err, msg.Bytes, v.body)
			}
		case "REFUSED":
			if !errors.Is(err, frame.ErrRefused) || msg.Bytes != nil {
				t.Errorf("%s: %v, %d octets to send", v.head["says"], err, len(msg.Bytes))
			}
		default:
			t.Errorf("expect: %q", v.head["expect"])
		}
	})
	if count["SENT"] < 5 || count["REFUSED"] < 100 {
		t.Errorf("expected: %v", count)
	}
}
