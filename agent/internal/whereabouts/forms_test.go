package whereabouts

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/alloctest"
)

const keaHead = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n"

var night = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

func isc(address, body string) string { return "lease " + address + " {\n" + body + "}\n" }

const active = "  starts 2 2026/11/24 01:00:00;\n  ends 2 2026/11/24 04:00:00;\n  cltt 2 2026/11/24 01:00:00;\n  binding state active;\n  next binding state free;\n" +
	"  rewind binding state free;\n  hardware ethernet 02:00:00:00:00:01;\n  uid \"\\001\\002\\\"};\";\n  set vendor-class-identifier = \"pump {\";\n  client-hostname \"pump\";\n"

// H-003: the lease files of Kea and of ISC's server prove as dnsmasq's does: the newest word on an address counts, and
// whatever is not understood proves nothing.
func TestTheLeaseFilesOfKeaAndISCProveAlike(t *testing.T) {
	later, earlier := night.Add(time.Hour).Unix(), night.Add(-time.Second).Unix()
	kea := func(address, mac string, lifetime uint32, expire int64, state int) string {
		return fmt.Sprintf("%s,%s,01:02,%d,%d,1,0,0,pump,%d,,0\n", address, mac, lifetime, expire, state)
	}
	own := kea("127.0.0.9", "02:00:00:00:00:01", 3600, later, 0)
	other := kea("127.0.0.9", "02:00:00:00:00:02", 3600, later, 0)
	header := "# The format of this file is documented in the dhcpd.leases(5) manual page.\n\n# authoring-byte-order entry is generated, DO NOT DELETE\nauthoring-byte-order little-endian;\n\nserver-duid \"\\000\\001;\";\n\n"
	for name, c := range map[string]struct {
		form Form
		text string
		want list.Reason
		says string
	}{
		"kea, its own":                    {Kea, keaHead + own, "", ""},
		"kea, without an end":             {Kea, keaHead + kea("127.0.0.9", "02:00:00:00:00:01", 1<<32-1, earlier, 0), "", ""},
		"kea, renewed":                    {Kea, keaHead + kea("127.0.0.9", "02:00:00:00:00:01", 3600, earlier, 0) + own, "", ""},
		"kea, an older head":              {Kea, "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state\n127.0.0.9,02:00:00:00:00:01,,3600," + fmt.Sprint(later) + ",1,0,0,,0\n", "", ""},
		"kea, another's now":              {Kea, keaHead + own + other, list.AddressMoved, "02:00:00:00:00:02"},
		"kea, it has moved":               {Kea, keaHead + other + kea("127.0.0.20", "02:00:00:00:00:01", 3600, later, 0), list.AddressMoved, "holds 127.0.0.20"},
		"kea, its own again":              {Kea, keaHead + other + own, "", ""},
		"kea, ended":                      {Kea, keaHead + kea("127.0.0.9", "02:00:00:00:00:01", 3600, earlier, 0), list.AddressUnproven, ""},
		"kea, given back":                 {Kea, keaHead + own + kea("127.0.0.9", "02:00:00:00:00:01", 0, later, 0), list.AddressUnproven, ""},
		"kea, declined":                   {Kea, keaHead + own + kea("127.0.0.9", "", 3600, later, 1), list.AddressUnproven, ""},
		"kea, reclaimed":                  {Kea, keaHead + own + kea("127.0.0.9", "02:00:00:00:00:01", 3600, later, 2), list.AddressUnproven, ""},
		"kea, a line cut short":           {Kea, keaHead + own + "127.0.0.9,02:00", list.AddressUnproven, "line 3"},
		"kea, a lease without a card":     {Kea, keaHead + kea("127.0.0.9", "", 3600, later, 0), list.AddressUnproven, "line 2"},
		"kea, another head":               {Kea, "hwaddr,address\n" + own, list.AddressUnproven, "head"},
		"kea, empty":                      {Kea, "", list.AddressUnproven, ""},
		"isc, its own":                    {ISC, header + isc("127.0.0.9", active), "", ""},
		"isc, without an end":             {ISC, isc("127.0.0.9", strings.Replace(active, "ends 2 2026/11/24 04:00:00", "ends never", 1)), "", ""},
		"isc, by epoch":                   {ISC, isc("127.0.0.9", strings.Replace(active, "ends 2 2026/11/24 04:00:00", fmt.Sprintf("ends epoch %d; # Tue", later), 1)), "", ""},
		"isc, a card without zeros":       {ISC, isc("127.0.0.9", strings.Replace(active, "02:00:00:00:00:01", "2:0:0:0:0:1", 1)), "", ""},
		"isc, a failover state between":   {ISC, "failover peer \"a\" state {\n my state normal at 2 2026/11/24 01:00:00;\n}\n" + isc("127.0.0.9", active), "", ""},
		"isc, something on commit":        {ISC, isc("127.0.0.9", active+"  on expiry or release {\n    set x = \"}\";\n  }\n"), "", ""},
		"isc, another's now":              {ISC, isc("127.0.0.9", active) + isc("127.0.0.9", strings.Replace(active, ":01;", ":02;", 1)), list.AddressMoved, "02:00:00:00:00:02"},
		"isc, freed":                      {ISC, isc("127.0.0.9", active) + isc("127.0.0.9", strings.Replace(active, "binding state active", "binding state free", 1)), list.AddressUnproven, ""},
		"isc, ended":                      {ISC, isc("127.0.0.9", strings.Replace(active, "04:00:00", "02:59:59", 1)), list.AddressUnproven, ""},
		"isc, active only to be next":     {ISC, isc("127.0.0.9", strings.Replace(strings.Replace(active, "  binding state active", "  binding state free", 1), "next binding state free", "next binding state active", 1)), list.AddressUnproven, ""},
		"isc, cut short":                  {ISC, isc("127.0.0.9", active) + "lease 127.0.0.8 {\n  ends", list.AddressUnproven, "line"},
		"isc, a string without its end":   {ISC, isc("127.0.0.9", active+"  uid \"x;\n"), list.AddressUnproven, "line"},
		"isc, an active one without card": {ISC, isc("127.0.0.9", "  ends never;\n  binding state active;\n"), list.AddressUnproven, "hardware"},
		"isc, an active one without end":  {ISC, isc("127.0.0.9", strings.Replace(active, "ends 2 2026/11/24 04:00:00;", "", 1)), list.AddressUnproven, "end"},
		"isc, an end that is none":        {ISC, isc("127.0.0.9", strings.Replace(active, "04:00:00", "soon", 1)), list.AddressUnproven, "line"},
		"isc, a brace too many":           {ISC, isc("127.0.0.9", active) + "}\n", list.AddressUnproven, "line"},
		"a form that is none":             {"windows", own, list.AddressUnproven, "windows"},
		"kea read as dnsmasq":             {Dnsmasq, keaHead + own, list.AddressUnproven, "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "leases")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, night, night); err != nil {
				t.Fatal(err)
			}
			r := Prover{Leases: Leases{Path: path, Form: c.form}}.Prove(list.Device{MAC: "02:00:00:00:00:01", Address: netip.MustParseAddr("127.0.0.9")}, "", night)
			if (r == nil) != (c.want == "") || r != nil && (r.Reason != c.want || !strings.Contains(r.Detail, c.says)) {
				t.Errorf("%+v, want %q", r, c.want)
			}
		})
	}
}

// H-003: the neighbour table proves for a device that was heard of lately; a contradiction of any source refuses.
func TestTheNeighbourTableProvesAndContradicts(t *testing.T) {
	device := list.Device{MAC: "02:00:00:00:00:01", Address: netip.MustParseAddr("127.0.0.9")}
	at := func(address string, last byte, age time.Duration) Neighbour {
		return Neighbour{Address: netip.MustParseAddr(address), MAC: net.HardwareAddr{2, 0, 0, 0, 0, last}, Confirmed: age}
	}
	set := at("127.0.0.9", 1, 0)
	set.Permanent = true
	other := at("127.0.0.9", 2, 0)
	other.Permanent = true
	lease := func(last byte) string { return fmt.Sprintf("0 02:00:00:00:00:%02d 127.0.0.9 pump *\n", last) }
	for name, c := range map[string]struct {
		table []Neighbour
		err   error
		lease string
		mac   string
		want  list.Reason
		says  string
	}{
		"heard of lately":                    {table: []Neighbour{at("127.0.0.9", 1, MaxAge)}},
		"heard of too long ago":              {table: []Neighbour{at("127.0.0.9", 1, MaxAge+time.Millisecond)}, want: list.AddressUnproven},
		"another card":                       {table: []Neighbour{at("127.0.0.9", 2, time.Second)}, want: list.AddressMoved, says: "02:00:00:00:00:02"},
		"another card, its own elsewhere":    {table: []Neighbour{at("127.0.0.9", 2, time.Second), at("127.0.0.30", 1, time.Second)}, want: list.AddressMoved, says: "is at 127.0.0.30"},
		"another card, long ago":             {table: []Neighbour{at("127.0.0.9", 2, time.Hour)}, want: list.AddressUnproven},
		"two cards":                          {table: []Neighbour{at("127.0.0.9", 1, 0), at("127.0.0.9", 2, 0)}, want: list.AddressMoved},
		"put there by a person":              {table: []Neighbour{set}, want: list.AddressUnproven},
		"another put there by a person":      {table: []Neighbour{other, at("127.0.0.9", 1, 0)}, want: list.AddressMoved},
		"not there":                          {want: list.AddressUnproven},
		"it cannot be read":                  {err: errors.New("no netlink"), want: list.AddressUnproven, says: "no netlink"},
		"no MAC in the inventory":            {table: []Neighbour{at("127.0.0.9", 1, 0)}, mac: "-", want: list.AddressUnproven},
		"a lease alone":                      {lease: lease(1)},
		"both":                               {table: []Neighbour{at("127.0.0.9", 1, 0)}, lease: lease(1)},
		"a lease, and another card is there": {table: []Neighbour{at("127.0.0.9", 2, 0)}, lease: lease(1), want: list.AddressMoved},
		"the card, and another's lease":      {table: []Neighbour{at("127.0.0.9", 1, 0)}, lease: lease(2), want: list.AddressMoved},
		"the card, and no lease of it":       {table: []Neighbour{at("127.0.0.9", 1, 0)}, lease: "\n"},
		"neither":                            {lease: "\n", want: list.AddressUnproven, says: "no running lease for 127.0.0.9; the neighbour table"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Prover{Table: func() ([]Neighbour, error) { return c.table, c.err }}
			if c.lease != "" {
				p.Leases.Path = filepath.Join(t.TempDir(), "leases")
				if err := os.WriteFile(p.Leases.Path, []byte(c.lease), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d := device
			if c.mac != "" {
				d.MAC = c.mac
			}
			r := p.Prove(d, "", time.Now())
			if (r == nil) != (c.want == "") || r != nil && (r.Reason != c.want || !strings.Contains(r.Detail, c.says)) {
				t.Errorf("%+v, want %q", r, c.want)
			}
		})
	}
	if r := (Prover{}).Prove(device, "", time.Now()); r == nil || r.Reason != list.AddressUnproven {
		t.Errorf("without a source: %v", r)
	}
}

// H-045: where the site takes it, a person's word proves an address, and never against what the agent itself sees.
func TestAPersonsWordProvesAnAddressWhereTheSiteTakesIt(t *testing.T) {
	now := time.Now()
	card := func(address string, last byte) Neighbour {
		return Neighbour{Address: netip.MustParseAddr(address), MAC: net.HardwareAddr{2, 0, 0, 0, 0, last}, Confirmed: time.Second}
	}
	for name, c := range map[string]struct {
		also  list.AddressProof
		bend  func(*list.FixedAddress)
		table []Neighbour // nil: it is not asked
		lease string      // empty: no file
		want  list.Reason
		seen  string
	}{
		"the site takes it":                    {also: list.Attested},
		"the site does not":                    {want: list.AddressUnproven},
		"a policy that nobody knows":           {also: "word", want: list.AddressUnproven},
		"it has ended":                         {also: list.Attested, bend: func(f *list.FixedAddress) { f.Until = now.Add(-time.Second) }, want: list.AddressUnproven},
		"the sources know nothing":             {also: list.Attested, table: []Neighbour{card("10.0.0.9", 9)}, lease: "\n"},
		"a lease file that is not understood":  {also: list.Attested, lease: "nonsense\n"},
		"another's lease":                      {also: list.Attested, lease: "0 02:00:00:00:00:02 10.0.0.7 x *\n", want: list.AddressMoved},
		"its own lease is elsewhere":           {also: list.Attested, lease: "0 02:00:00:00:00:01 10.0.0.30 x *\n", want: list.AddressMoved, seen: "10.0.0.30"},
		"its own lease was elsewhere":          {also: list.Attested, lease: "1 02:00:00:00:00:01 10.0.0.30 x *\n"},
		"another card is there":                {also: list.Attested, table: []Neighbour{card("10.0.0.7", 2), card("10.0.0.31", 1)}, want: list.AddressMoved, seen: "10.0.0.31"},
		"its own card is elsewhere":            {also: list.Attested, table: []Neighbour{card("10.0.0.31", 1)}, want: list.AddressMoved, seen: "10.0.0.31"},
		"its card has an address of IPv6 too":  {also: list.Attested, table: []Neighbour{card("fd00::9", 1)}},
		"its card has one of the link too":     {also: list.Attested, table: []Neighbour{card("169.254.3.4", 1)}},
		"its card is there and elsewhere too":  {table: []Neighbour{card("10.0.0.7", 1), card("10.0.0.31", 1)}},
		"its own card is elsewhere, no policy": {table: []Neighbour{card("10.0.0.31", 1)}, want: list.AddressMoved, seen: "10.0.0.31"},
	} {
		f := list.FixedAddress{Address: netip.MustParseAddr("10.0.0.7"), MAC: "02:00:00:00:00:01", By: "M", On: now.Add(-time.Hour), Until: now.Add(time.Hour)}
		if c.bend != nil {
			c.bend(&f)
		}
		p := Prover{}
		if c.table != nil {
			p.Table = func() ([]Neighbour, error) { return c.table, nil }
		}
		if c.lease != "" {
			p.Leases.Path = filepath.Join(t.TempDir(), "leases")
			if err := os.WriteFile(p.Leases.Path, []byte(c.lease), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := p.Prove(list.Device{MAC: "02:00:00:00:00:01", Address: f.Address, Fixed: &f}, c.also, now)
		if (r == nil) != (c.want == "") || r != nil && (r.Reason != c.want || r.Seen != c.seen) {
			t.Errorf("%s: %+v, want %q %q", name, r, c.want, c.seen)
		}
	}
}

func FuzzParseKea(f *testing.F) {
	f.Add(keaHead + "127.0.0.9,02:00:00:00:00:01,01:02,3600,1795485600,1,0,0,pump,0,,0\n")
	f.Add(keaHead + "127.0.0.9,,,0,0,1,0,0,\"a \"\"b\",2,,\n")
	f.Fuzz(func(t *testing.T, text string) { bounded(t, text, ParseKea) })
}

func FuzzParseISC(f *testing.F) {
	f.Add(isc("127.0.0.9", active))
	f.Add("failover peer \"a\" state {\n my state normal at 2 2026/11/24 01:00:00;\n}\n")
	f.Fuzz(func(t *testing.T, text string) { bounded(t, text, ParseISC) })
}

// bounded holds that a reader takes no more memory than its file is worth.
func bounded(t *testing.T, text string, read func(io.Reader) ([]Lease, error)) {
	t.Helper()
	alloctest.Bounded(t, []byte(text), 100, 64<<10, func() {
		leases, err := read(strings.NewReader(text))
		if err != nil && leases != nil {
			t.Errorf("leases of a file that is not understood: %v", leases)
		}
		for _, l := range leases {
			if len(l.MAC) == 0 || !l.Address.IsValid() {
				t.Errorf("%+v", l)
			}
		}
	})
}
