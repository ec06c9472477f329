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

// H-003: only a running lease of exactly this device, in a fresh file, proves the address.
func TestOnlyARunningLeaseOfTheDeviceProvesItsAddress(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	device := list.Device{MAC: "02:00:00:00:00:01", Address: netip.MustParseAddr("127.0.0.9")}
	later, earlier := now.Add(time.Hour).Unix(), now.Add(-time.Second).Unix()
	for name, c := range map[string]struct {
		text string
		age  time.Duration
		bend func(*list.Device)
		want list.Reason // empty: proven
	}{
		"its own lease":                                     {text: fmt.Sprintf("%d 02:00:00:00:00:01 127.0.0.9 pump *\n", later)},
		"a lease without an end":                            {text: "0 02:00:00:00:00:01 127.0.0.9 pump *\n"},
		"upper case in the file":                            {text: strings.ToUpper("0 0a:00:00:00:00:01 127.0.0.9 pump *\n"), bend: func(d *list.Device) { d.MAC = "0a:00:00:00:00:01" }},
		"another's lease":                                   {text: fmt.Sprintf("%d 02:00:00:00:00:02 127.0.0.9 printer *\n", later), want: list.AddressMoved},
		"a lease that has ended":                            {text: fmt.Sprintf("%d 02:00:00:00:00:01 127.0.0.9 pump *\n", earlier), want: list.AddressUnproven},
		"no lease of it, and one elsewhere":                 {text: fmt.Sprintf("%d 02:00:00:00:00:01 127.0.0.8 pump *\n", later), want: list.AddressMoved},
		"an empty file":                                     {want: list.AddressUnproven},
		"a file half understood":                            {text: fmt.Sprintf("%d 02:00:00:00:00:01 127.0.0.9 pump *\nnonsense\n", later), want: list.AddressUnproven},
		"a stale file":                                      {text: fmt.Sprintf("%d 02:00:00:00:00:01 127.0.0.9 pump *\n", later), age: MaxAge + time.Second, want: list.AddressUnproven},
		"two leases of the address, its own first":          {text: fmt.Sprintf("%d 02:00:00:00:00:01 127.0.0.9 pump *\n%d 02:00:00:00:00:02 127.0.0.9 printer *\n", later, later), want: list.AddressMoved},
		"two leases of the address, one of which has ended": {text: fmt.Sprintf("%d 02:00:00:00:00:02 127.0.0.9 printer *\n%d 02:00:00:00:00:01 127.0.0.9 pump *\n", earlier, later)},
		"a file from the future":                            {text: fmt.Sprintf("%d 02:00:00:00:00:01 127.0.0.9 pump *\n", later), age: -MaxAge - time.Second, want: list.AddressUnproven},
		"an address in its longer form":                     {text: fmt.Sprintf("%d 02:00:00:00:00:02 ::ffff:127.0.0.9 printer *\n%d 02:00:00:00:00:01 127.0.0.9 pump *\n", later, later), want: list.AddressMoved},
		"no MAC in the inventory":                           {text: fmt.Sprintf("%d 02:00:00:00:00:01 127.0.0.9 pump *\n", later), bend: func(d *list.Device) { d.MAC = "" }, want: list.AddressUnproven},
	} {
		path := filepath.Join(t.TempDir(), "leases")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-c.age), now.Add(-c.age)); err != nil {
			t.Fatal(err)
		}
		d := device
		if c.bend != nil {
			c.bend(&d)
		}
		r := Prover{Leases: Leases{Path: path}}.Prove(d, "", now)
		if (r == nil) != (c.want == "") || r != nil && r.Reason != c.want {
			t.Errorf("%s: %v, want %q", name, r, c.want)
		}
	}
	if r := (Prover{}).Prove(device, "", now); r == nil || r.Reason != list.AddressUnproven {
		t.Errorf("without a file: %v", r)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0 02:00:00:00:00:01 127.0.0.9 pump *\nduid 00:01\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		leases, err := Parse(strings.NewReader(text))
		if err == nil && len(leases) > strings.Count(text, "\n")+1 {
			t.Errorf("%d leases in %q", len(leases), text)
		}
	})
}
