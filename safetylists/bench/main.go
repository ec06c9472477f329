package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	list "primum/safetylists"
)

// fact is one statement of both worlds: a product that is denied in one version, or allowed in another.
type fact struct {
	maker, model, version string
	deny                  bool
}

const oid = "1.3.6.1.2.1.1.1.0"

func facts(n int) []fact {
	out := make([]fact, n)
	for i := range out {
		out[i] = fact{fmt.Sprintf("Maker %d", i/40), fmt.Sprintf("Model %d-%d", i/40, i%40), fmt.Sprintf("%d.0", 1+i%9), i%4 == 0}
	}
	return out
}

// ask is one question about one device.
type ask struct {
	maker, model, version string
	product               string        // maker/model
	known                 *list.Subject // for the safety list: made ready once, as the others get their input
}

// engine decides; name says what it is.
type engine struct {
	name    string
	allowed func(ask) (bool, error)
}

func primum(all []fact) (engine, error) {
	var files []*list.File
	site := list.Site{Name: "bench", Facility: "SITE", Policy: list.Real}
	for first := 0; first < len(all); first += 1000 {
		var b strings.Builder
		b.WriteString("schema: primum-list/1\nname: f\nmaker: M\ndated: \"2026-01-01\"\nstatements:\n")
		for i := first; i < min(first+1000, len(all)); i++ {
			f := all[i]
			fmt.Fprintf(&b, "  - id: s.%06d\n    product: {manufacturers: [%q], models: [%q], versions: {compare: listed, is: [%q]}}\n", i, f.maker, f.model, f.version)
			b.WriteString("    evidence: [{kind: letter, title: T, publisher: P, date: \"2026-01-01\", says: S, seen: full, provenance: bench}]\n")
			if f.deny {
				b.WriteString("    type: deny\n    words: Leave it.\n")
				continue
			}
			b.WriteString("    type: allow\n    purpose: identify\n    question: {kind: snmp.get, port: \"161\", oids: [" + oid + "]}\n    expires: \"2999-01-01\"\n")
		}
		f, err := list.Load(fmt.Sprint("bench-", first), []byte(b.String()))
		if err != nil {
			return engine{}, err
		}
		files = append(files, f)
		for _, s := range f.Statements {
			if s.Type == list.Allow {
				site.SignOffs = append(site.SignOffs, list.SignOff{Statement: s.ID, Digest: s.Digest, By: []string{"a person"}})
			}
		}
	}
	l, err := list.New(files, site)
	if err != nil {
		return engine{}, err
	}
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: []string{oid}})
	if err != nil {
		return engine{}, err
	}
	at := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	return engine{"safetylists", func(a ask) (bool, error) {
		return l.DecideKnown(a.known, q, at).Allowed(), nil
	}}, nil
}

// asks are a device that is allowed, one that is denied, one of another version and one of another maker.
func asks(all []fact) []ask {
	deny, allow := all[len(all)/2/4*4], all[len(all)/2/4*4+1]
	out := []ask{{maker: allow.maker, model: allow.model, version: allow.version}, {maker: deny.maker, model: deny.model, version: deny.version},
		{maker: allow.maker, model: allow.model, version: "99.0"}, {maker: "Nobody", model: allow.model, version: allow.version}}
	for i, a := range out {
		s := list.Know(list.Device{ID: "1", Class: list.OtherClass, MAC: "02:00:00:00:00:01", Endpoints: list.Endpoints{SNMPPort: 161},
			Claims: []list.Claim{{Source: list.CMMS, Manufacturer: a.maker, Model: a.model, Version: a.version}}})
		out[i].product, out[i].known = a.maker+"/"+a.model, &s
	}
	return out
}

func run() error {
	for _, n := range []int{2000, 20000} {
		all := facts(n)
		var engines []engine
		for _, build := range []func([]fact) (engine, error){primum, cedarEngine, celEngine, opaEngine} {
			e, err := build(all)
			if err != nil {
				return err
			}
			engines = append(engines, e)
		}
		want := []bool{true, false, false, false}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "%d statements\tns a decision\tallocations\tratio to safetylists\n", n)
		var base float64
		for _, e := range engines {
			for i, a := range asks(all) {
				got, err := e.allowed(a)
				if err != nil {
					return fmt.Errorf("%s: %w", e.name, err)
				}
				if got != want[i] {
					return fmt.Errorf("%s decides %v about %v", e.name, got, a)
				}
			}
			some := asks(all)
			var failed error
			r := testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := e.allowed(some[i%len(some)]); err != nil {
						failed = err
					}
				}
			})
			if failed != nil {
				return failed
			}
			ns := float64(r.T.Nanoseconds()) / float64(r.N)
			if base == 0 {
				base = ns
			}
			fmt.Fprintf(w, "%s\t%.0f\t%d\t%.1f\n", e.name, ns, r.AllocsPerOp(), ns/base)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	testing.Init()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
