package advisory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	list "primum/safetylists"
	"primum/safetylists/alloctest"
)

func small(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "small.json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryLeafIsRead(t *testing.T) {
	a, err := Read("small.json", small(t))
	if err != nil {
		t.Fatal(err)
	}
	const o = "Ostrava Instruments"
	want := Advisory{ID: "LAB-26-001-01", Title: "Ostrava Instruments Hummingbird", Publisher: "Laboratory", Date: "2026-03-02", Address: "https://example.org/lab-26-001-01",
		Medical: true, CVEs: []string{"CVE-2026-99999"}, Says: "A crafted message restarts the device.",
		Products: []Product{{"P-1", o, "Hummingbird", "< 1.2", true}, {"P-2", o, "Hummingbird Dock", "2.0", false}, {"P-3", o, "Hummingbird Dock", "2.1", false},
			{"P-4", o, "Finch", "3", false}, {"P-5", o, "Finch", ">= 4 | < 5", true}, {"P-6", o, "Wren", "vers:all/*", false}, {"P-7", o, "Robin", "1", false}}}
	want.Affected = want.Products[:6]
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What cannot be compared counts for every version; what the advisory calls not affected is not proposed.
func TestAProposalIsADenialThatMatchesTheInventory(t *testing.T) {
	a, err := Read("small.json", small(t))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Proposals("small.json", a)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range all {
		got[p.ID] = p.Statement.Describe()
		if p.Statement.Type != list.Deny || !strings.Contains(p.Text, "LAB-26-001-01") {
			t.Errorf("%s is a %s:\n%s", p.ID, p.Statement.Type, p.Text)
		}
	}
	want := map[string]string{
		"lab-26-001-01.hummingbird":      "Ostrava Instruments, Hummingbird, versions before 1.2: every question",
		"lab-26-001-01.hummingbird-dock": "Ostrava Instruments, Hummingbird Dock, version 2.0 or 2.1: every question",
		"lab-26-001-01.finch":            "Ostrava Instruments, Finch, all versions: every question",
		"lab-26-001-01.wren":             "Ostrava Instruments, Wren, all versions: every question",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		maker, model, version string
		want                  list.Tri
	}{
		{"Ostrava Instruments", "Hummingbird", "1.1", list.Yes}, {"Ostrava Instruments", "Hummingbird", "1.2", list.No}, {"Ostrava Instruments", "Hummingbird", "", list.Unknown},
		{"Corvus", "Hummingbird", "1.1", list.No}, {"", "", "", list.No},
	} {
		d := list.Device{Claims: []list.Claim{{Source: list.CMMS, Manufacturer: c.maker, Model: c.model, Version: c.version}}}
		if got := all[0].Statement.Could(d); got != c.want {
			t.Errorf("%s %s %q: %s, want %s", c.maker, c.model, c.version, got, c.want)
		}
	}
}

func TestRangesOfVersions(t *testing.T) {
	one := func(v string) []Product { return []Product{{Version: v, Range: true}} }
	for text, want := range map[string]string{
		"< 1.2": "versions before 1.2", "<= 3.7": "versions up to 3.7", "<=V4.1.3": "versions up to V4.1.3", ">= 2.0 | < 3.0": "versions from 2.0 before 3.0",
		">=2.0,<3.0": "versions from 2.0 before 3.0", "Version 4 and prior": "all versions", "< 1.2 | 1.3": "all versions", "> 2.0": "all versions", "<5.17.1-754993421": "all versions",
		"<= 2.0 | < 3.0": "all versions", "": "all versions",
	} {
		if got := versions(one(text)).String(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestSeveralRangesOfOneProductAreEveryVersion(t *testing.T) {
	if got := versions([]Product{{Version: "< 2", Range: true}, {Version: ">= 4", Range: true}}); !got.All {
		t.Errorf("read as %s", got)
	}
}

func TestWhatIsNoAdvisoryIsRefused(t *testing.T) {
	good := string(small(t))
	for name, text := range map[string]string{
		"nothing": "", "not JSON": "{", "another document": `{"document": {}}`, "another version": strings.Replace(good, `"csaf_version": "2.0"`, `"csaf_version": "3.0"`, 1),
		"no tracking id": strings.Replace(good, `"id": "LAB-26-001-01", `, "", 1), "too large": strings.Repeat(" ", MaxSize+1),
	} {
		if _, err := Read(name, []byte(text)); err == nil || !strings.Contains(err.Error(), "advisory "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRead holds that whatever is read makes proposals that load as denials.
func FuzzRead(f *testing.F) {
	f.Add(small(f))
	f.Fuzz(func(t *testing.T, text []byte) {
		var a Advisory
		var err error
		alloctest.Bounded(t, text, 300, 2<<20, func() { a, err = Read("fuzz", text) })
		if err != nil {
			return
		}
		all, err := Proposals("fuzz", a)
		if err != nil {
			return // a name that no list file can carry
		}
		for _, p := range all {
			if p.Statement.Type != list.Deny {
				t.Errorf("%s is a %s", p.ID, p.Statement.Type)
			}
		}
	})
}
