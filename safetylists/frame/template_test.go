package frame

import (
	"bytes"
	"errors"
	"testing"

	list "primum/safetylists"
	"primum/safetylists/alloctest"
)

func serial(t testing.TB) list.Query {
	return query(t, list.QuerySpec{Kind: "tcp.aldane.status", Port: 4001, Messages: []list.MessageTemplate{
		{Words: "ask for the identity", Parts: []list.MessagePart{{Bytes: "0249"}, {Field: "unit", Charset: "digits", Min: 1, Max: 3}, {Bytes: "03"}, {Bytes: "00", Mask: "80"}},
			Reply: list.ReplyRule{Max: 64, Until: "03", Then: 1}},
		{Words: "ask for the status", Parts: []list.MessagePart{{Bytes: "025303"}}, Least: 0, Most: 2, Reply: list.ReplyRule{Max: 16, Length: 5}},
		{Words: "good bye", Parts: []list.MessagePart{{Bytes: "0203"}}, Reply: list.ReplyRule{Max: 16, At: 1, Size: 1, Adds: 2}},
	}})
}

func TestAVendorsConversationIsHeldToItsOrderAndCounts(t *testing.T) {
	q := serial(t)
	identity, status, bye := "\x02I7\x03\x05", "\x02S\x03", "\x02\x03"
	for name, c := range map[string]struct {
		say  []string
		ends string // of each message: "." it may end there, "!" it must, "-" neither, "x" it is refused
	}{
		"the whole of it":         {[]string{identity, status, status, bye}, "---!"},
		"without what may lack":   {[]string{identity, bye}, "-!"},
		"once of twice":           {[]string{identity, status, bye}, "--!"},
		"too often":               {[]string{identity, status, status, status}, "---x"},
		"the first twice":         {[]string{identity, identity}, "-x"},
		"not from the beginning":  {[]string{status}, "x"},
		"back again":              {[]string{identity, bye, status}, "-!x"},
		"something else":          {[]string{"\x02W7\x03\x05"}, "x"},
		"a field of no octet":     {[]string{"\x02I\x03\x05"}, "x"},
		"a field of four":         {[]string{"\x02I1234\x03\x05"}, "x"},
		"a field of letters":      {[]string{"\x02Iab\x03\x05"}, "x"},
		"a bit that is not free":  {[]string{"\x02I7\x03\x85"}, "x"},
		"cut short":               {[]string{"\x02I7\x03"}, "x"},
		"one octet more":          {[]string{identity + "\x00"}, "x"},
		"two messages in one":     {[]string{identity + status}, "x"},
		"nothing":                 {[]string{""}, "x"},
		"a longer field is taken": {[]string{"\x02I123\x03\x00", bye}, "-!"},
	} {
		var at Progress
		got := ""
		for _, m := range c.say {
			built, next, err := CheckTemplate(q, at, []byte(m))
			if err != nil {
				if !errors.Is(err, ErrRefused) {
					t.Errorf("%s: %v", name, err)
				}
				got += "x"
				break
			}
			if string(built.Bytes) != m {
				t.Errorf("%s: % x is sent for % x", name, built.Bytes, m)
			}
			at = next
			switch may, must := Ended(q, at); {
			case must:
				got += "!"
			case may:
				got += "."
			default:
				got += "-"
			}
		}
		if got != c.ends {
			t.Errorf("%s: %s, want %s", name, got, c.ends)
		}
	}
}

// Every octet that the template fixes is fixed: of all mutants only those of a free digit or a free bit pass.
func TestOnlyFreeOctetsOfAVendorsMessageMayDiffer(t *testing.T) {
	q, golden := serial(t), []byte("\x02I7\x03\x05")
	passed := 0
	for i := range golden {
		for v := range 256 {
			b := bytes.Clone(golden)
			b[i] = byte(v)
			built, _, err := CheckTemplate(q, Progress{}, b)
			if free := i == 2 && v >= '0' && v <= '9' || i == 4 && v < 0x80 || b[i] == golden[i]; (err == nil) != free {
				t.Errorf("octet %d as %02x: %v", i, v, err)
			}
			if err == nil {
				passed++
				if &built.Bytes[0] == &b[0] || !bytes.Equal(built.Bytes, b) {
					t.Errorf("octet %d as %02x: what is sent is not our own", i, v)
				}
			}
		}
	}
	if passed != 10+128+3 {
		t.Errorf("%d mutants pass", passed)
	}
}

func TestAVendorsReplyEndsWhereItsRuleSays(t *testing.T) {
	until := list.ReplyRule{Max: 8, Until: "0d0a", Then: 1}
	length := list.ReplyRule{Max: 8, Length: 4}
	size := list.ReplyRule{Max: 8, At: 1, Size: 1, Adds: 2}
	wide := list.ReplyRule{Max: 300, At: 0, Size: 2}
	for name, c := range map[string]struct {
		rule list.ReplyRule
		text string
		want int // -1: it cannot become a reply
	}{
		"until, not yet":            {until, "ab\r", 0},
		"until, without what then":  {until, "ab\r\n", 0},
		"until":                     {until, "ab\r\nX", 5},
		"until, and more":           {until, "ab\r\nXY", -1},
		"until, the first counts":   {until, "\r\n\r", 3},
		"until, never":              {until, "abcdefghi", -1},
		"until, too far":            {until, "abcdef\r\n", -1},
		"length, not yet":           {length, "abc", 0},
		"length":                    {length, "abcd", 4},
		"length, and more":          {length, "abcde", -1},
		"size, nothing yet":         {size, "a", 0},
		"size, not yet":             {size, "a\x03bc", 0},
		"size":                      {size, "a\x03bcd", 5},
		"size, beyond the bound":    {size, "a\x07", -1},
		"size, and more":            {size, "a\x01bc", -1},
		"size, of nothing":          {size, "a\x00", 2},
		"size, two octets":          {wide, "\x00\x03a", 3},
		"size, shorter than itself": {wide, "\x00\x01", -1},
	} {
		got, err := ReplyEnd(c.rule, []byte(c.text))
		if err != nil && !errors.Is(err, ErrReply) {
			t.Errorf("%s: %v", name, err)
		}
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	q := serial(f)
	f.Add([]byte("\x02I7\x03\x05"), uint8(0))
	f.Add([]byte("\x02S\x03"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, at uint8) {
		alloctest.Bounded(t, b, 4, 64<<10, func() {
			m, next, err := CheckTemplate(q, Progress{int(at % 3), int(at / 3 % 3)}, b)
			if err == nil && (!bytes.Equal(m.Bytes, b) || len(b) > 484 || next.Times == 0) {
				t.Errorf("% x is sent for % x", m.Bytes, b)
			}
			for _, m := range q.Spec().Messages {
				if n, err := ReplyEnd(m.Reply, b); err == nil && (n > m.Reply.Max || n != 0 && n != len(b)) {
					t.Errorf("a reply of %d octets out of %d", n, len(b))
				}
			}
		})
	})
}
