package whereabouts

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	list "primum/safetylists"
)

// H-003: a file that is kept is read anew whenever it may have changed: its time, its size, another file in its place, or a time so
// new that another write could have the same.
func TestAKeptLeaseFileIsReadAnewWhenItMayHaveChanged(t *testing.T) {
	const its, others = "0 02:00:00:00:00:01 127.0.0.9 pump *\n", "0 02:00:00:00:00:02 127.0.0.9 pump *\n"
	device := list.Device{MAC: "02:00:00:00:00:01", Address: netip.MustParseAddr("127.0.0.9")}
	minute := time.Now().Add(-time.Minute)
	for name, c := range map[string]struct {
		first, second string
		was, is       time.Time
		replace       bool
		same          bool // it need not be read anew
	}{
		"nothing has changed":              {its, its, minute, minute, false, true},
		"its time":                         {its, others, minute, minute.Add(time.Second), false, false},
		"its time, back":                   {its, others, minute, minute.Add(-time.Second), false, false},
		"its size":                         {its, its + others, minute, minute, false, false},
		"another file":                     {its, others, minute, minute, true, false},
		"written a moment ago":             {its, others, time.Now(), time.Now(), false, false},
		"a fault that was mended":          {"nonsense\n", others, minute, minute.Add(time.Second), false, false},
		"from the future, and then as new": {its, others, time.Now().Add(time.Minute), time.Now().Add(time.Minute), false, false},
	} {
		path := filepath.Join(t.TempDir(), "leases")
		put := func(text string, at time.Time) {
			t.Helper()
			to := path
			if c.replace {
				to = path + ".new"
			}
			if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(to, at, at); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(to, path); err != nil {
				t.Fatal(err)
			}
		}
		p := Prover{Leases: Leases{Path: path}.Kept()}
		put(c.first, c.was)
		first := p.Prove(device, "", time.Now())
		if (first == nil) != (c.first == its) {
			t.Fatalf("%s: %v", name, first)
		}
		before := p.Leases.kept.file
		put(c.second, c.is)
		second := p.Prove(device, "", time.Now())
		if c.same != (second == nil) || c.same != (before != nil && p.Leases.kept.file == before) {
			t.Errorf("%s: %v", name, second)
		}
	}
}

// BenchmarkProveAmongTenThousandLeases is one proof of an address, as before each message.
func BenchmarkProveAmongTenThousandLeases(b *testing.B) {
	var text strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&text, "0 02:00:00:00:%02x:%02x 10.0.%d.%d pump *\n", i/256, i%256, i/250, 1+i%250)
	}
	path := filepath.Join(b.TempDir(), "leases")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	minute := time.Now().Add(-time.Minute)
	if err := os.Chtimes(path, minute, minute); err != nil {
		b.Fatal(err)
	}
	device := list.Device{MAC: "02:00:00:00:00:05", Address: netip.MustParseAddr("10.0.0.6")}
	for name, p := range map[string]Prover{"read": {Leases: Leases{Path: path}}, "kept": {Leases: Leases{Path: path}.Kept()}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if no := p.Prove(device, "", time.Now()); no != nil {
					b.Fatal(no)
				}
			}
		})
	}
}
