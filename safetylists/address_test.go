package safetylists_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	. "primum/safetylists"
)

// H-045: a person's word covers the address and the card that it names, for the time that it names, and a year at most.
func TestAWordAboutAnAddressCoversThatAddressForItsTime(t *testing.T) {
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		bend func(*Device, *FixedAddress)
		at   time.Time
		ok   bool
		says string
	}{
		"as it was given":          {ok: true},
		"on its first moment":      {at: day, ok: true},
		"before its day":           {at: day.Add(-time.Nanosecond), says: "still to come"},
		"at its end":               {at: day.AddDate(0, 6, 0), says: "ended on 2027-05-01"},
		"just before its end":      {at: day.AddDate(0, 6, 0).Add(-time.Nanosecond), ok: true},
		"a word for a year":        {bend: func(_ *Device, f *FixedAddress) { f.Until = f.On.Add(MaxAttested) }, ok: true},
		"a word for longer":        {bend: func(_ *Device, f *FixedAddress) { f.Until = f.On.Add(MaxAttested + 1) }, says: "more than a year"},
		"another address":          {bend: func(d *Device, _ *FixedAddress) { d.Address = netip.MustParseAddr("10.0.0.8") }, says: "10.0.0.8"},
		"another card":             {bend: func(d *Device, _ *FixedAddress) { d.MAC = "02:00:00:00:00:02" }, says: "02:00:00:00:00:02"},
		"no card":                  {bend: func(d *Device, f *FixedAddress) { d.MAC, f.MAC = "", "" }, says: "network card"},
		"nobody's":                 {bend: func(_ *Device, f *FixedAddress) { f.By = "" }, says: "nobody"},
		"none":                     {bend: func(d *Device, _ *FixedAddress) { d.Fixed = nil }, says: "nobody"},
		"none and no address":      {bend: func(d *Device, f *FixedAddress) { d.Address, f.Address = netip.Addr{}, netip.Addr{} }, says: "nobody"},
		"the zero word of someone": {bend: func(_ *Device, f *FixedAddress) { *f = FixedAddress{By: "M"} }, says: "nobody"},
	} {
		f := FixedAddress{Address: netip.MustParseAddr("10.0.0.7"), MAC: "02:00:00:00:00:01", By: "M. Lindqvist", On: day, Until: day.AddDate(0, 6, 0)}
		d := Device{MAC: f.MAC, Address: f.Address, Fixed: &f}
		if c.bend != nil {
			c.bend(&d, &f)
		}
		if c.at.IsZero() {
			c.at = day.AddDate(0, 1, 0)
		}
		r := d.AddressAttested(c.at)
		if (r == nil) != c.ok || r != nil && (r.Reason != AddressUnproven || !strings.Contains(r.Detail, c.says)) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// H-045: what proves an address is the site's to say, and nothing is taken that it does not name.
func TestASiteSaysWhatProvesAnAddress(t *testing.T) {
	for more, want := range map[string]AddressProof{"": "", "address_proof: attested\n": Attested, "address_proof: answer\n": ByAnswer} {
		text, _ := siteText(t, more)
		s, err := LoadSite([]byte(text), nil)
		if err != nil || s.AddressProof != want {
			t.Errorf("%q: %q %v", more, s.AddressProof, err)
		}
	}
	for _, more := range []string{"address_proof: true\n", "address_proof: Attested\n", "address_proof: [attested]\n", "address_proof: lease\n", "address_proofs: attested\n"} {
		text, _ := siteText(t, more)
		if _, err := LoadSite([]byte(text), nil); err == nil || !strings.Contains(err.Error(), "address_proof") {
			t.Errorf("%q loads: %v", more, err)
		}
	}
}

// H-045: those who answer are the device of the inventory only if they say so in a model or a serial number, and in
// nothing the contrary.
func TestAnAnswerIsHeldAgainstTheInventory(t *testing.T) {
	files := []*File{velaFile(t, velaAllow+`  - id: vela.print
    type: fingerprint
    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: opaque, all: true}}
    identity: {object_ids: [1.3.6.1.4.1.99991.1]}
`+sourced)}
	l := compile(t, files, signedOffBy(files, Real, "M. Lindqvist"))
	for name, c := range map[string]struct {
		told Told
		bend func(*Device)
		want Tri
		says string
	}{
		"nothing":                         {},
		"the maker alone":                 {told: Told{Manufacturer: "Aldane"}},
		"the model":                       {told: Told{Model: "VELA"}, want: Yes},
		"the serial number":               {told: Told{Serial: "s-1"}, want: Yes},
		"both":                            {told: Told{Model: "Vela", Serial: "S-1"}, want: Yes},
		"another model":                   {told: Told{Model: "Vela 2", Serial: "S-1"}, want: No, says: "answers as Vela 2, and cmms says Aldane Vela"},
		"another maker":                   {told: Told{Manufacturer: "Corvus", Model: "Vela"}, want: No, says: "Corvus"},
		"another unit":                    {told: Told{Model: "Vela", Serial: "S-2"}, want: No, says: "serial number is S-2, and the inventory says S-1"},
		"a unit that nobody has numbered": {told: Told{Model: "Vela", Serial: "S-2"}, bend: func(d *Device) { d.Serial = "" }, want: Yes},
		"a number that nobody can hold":   {told: Told{Serial: "S-2"}, bend: func(d *Device) { d.Serial = "" }},
		"a fingerprint":                   {told: Told{ObjectID: "1.3.6.1.4.1.99991.1"}, want: Yes},
		"another's fingerprint":           {told: Told{ObjectID: "1.3.6.1.4.1.99991.1"}, bend: func(d *Device) { d.Claims[0].Model = "Drift" }, want: No, says: "Aldane Vela"},
		"a fingerprint of nobody":         {told: Told{ObjectID: "1.3.6.1.4.1.1"}},
		"an inventory that knows nothing": {told: Told{Model: "Vela"}, bend: func(d *Device) { d.Claims = nil }},
		"sources that disagree": {told: Told{Model: "Vela"}, bend: func(d *Device) {
			d.Claims = append(d.Claims, Claim{Source: Answer, Manufacturer: "Aldane", Model: "Drift"})
		}, want: No, says: "answer says"},
	} {
		d := vela("1.2")
		d.Serial = "S-1"
		if c.bend != nil {
			c.bend(&d)
		}
		if got, why := l.Same(d, c.told); got != c.want || !strings.Contains(why, c.says) {
			t.Errorf("%s: %s %q", name, got, why)
		}
	}
}
