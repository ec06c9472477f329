package release

import (
	"crypto/ed25519"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"pgregory.net/rapid"
)

// A maker's denial is lifted by the threshold of the maker's own keys, and its successors by its own word.
func TestAMakerLiftsItsOwnDenialAndNobodyElseDoes(t *testing.T) {
	b := world(t)
	_, m, err := b.Open(believing(t, b), testNow())
	must(t, err)
	thief := key("thief", 0)
	without := file("acme", "Acme", allowing("acme.allow", "Acme", "M1"))

	stolen := b.clone()
	stolen.Targets["manufacturers/acme/a.yaml"] = without
	must(t, stolen.Delegate("acme", signers(1, thief), testUntil()))
	restage2(t, stolen, metadata.TARGETS, key(metadata.TARGETS, 0))
	restage2(t, stolen, "acme", thief, key("acme", 0)) // and one of the maker's three keys
	seal(t, stolen)
	r, after, err := stolen.Open(m, testNow())
	must(t, err)
	if !denied(r.List, "Acme", "M1") || !found(r, "acme.deny stays in force") {
		t.Errorf("a new key lifted it: %q", r.Findings)
	}
	if r, _, err := stolen.Open(after, testNow()); err != nil || !denied(r.List, "Acme", "M1") {
		t.Errorf("the same once more: %v", err)
	}

	gone := b.clone()
	must(t, gone.Undelegate("acme", testUntil()))
	delete(gone.Targets, "manufacturers/acme/a.yaml")
	makers, err := WriteMakers([]Maker{{"globex", []string{"Globex"}, nil}})
	must(t, err)
	gone.Targets[MakersPath] = makers
	restage2(t, gone, metadata.TARGETS, key(metadata.TARGETS, 0))
	seal(t, gone)
	if r, _, err := gone.Open(m, testNow()); err != nil || !denied(r.List, "Acme", "M1") {
		t.Errorf("without the maker: %v", err)
	}

	// targets takes the maker's products away from it
	other := b.clone()
	makers, err = WriteMakers([]Maker{{"acme", []string{"Nobody"}, nil}, {"globex", []string{"Globex"}, nil}})
	must(t, err)
	other.Targets[MakersPath] = makers
	restage2(t, other, metadata.TARGETS, key(metadata.TARGETS, 0))
	seal(t, other)
	if r, _, err := other.Open(m, testNow()); err != nil || !denied(r.List, "Acme", "M1") {
		t.Errorf("with another name: %v", err)
	}

	// The maker signs a new denial under a delegation that a thief has got into: both keys stand under it,
	// and it is still the maker's.
	shared := b.clone()
	must(t, shared.Delegate("acme", signers(1, thief), testUntil()))
	restage2(t, shared, metadata.TARGETS, key(metadata.TARGETS, 0))
	shared.Targets["manufacturers/acme/b.yaml"] = file("b", "Acme", denial("acme.more", "Acme", "M7"))
	restage2(t, shared, "acme", thief, key("acme", 0), key("acme", 1))
	seal(t, shared)
	_, m1, err := shared.Open(m, testNow())
	must(t, err)
	delete(shared.Targets, "manufacturers/acme/b.yaml")
	shared.Targets["manufacturers/acme/a.yaml"] = without
	restage2(t, shared, "acme", thief)
	seal(t, shared)
	if r, _, err := shared.Open(m1, testNow()); err != nil || !denied(r.List, "Acme", "M1") || !denied(r.List, "Acme", "M7") {
		t.Errorf("after both had signed: %v", err)
	}

	own := b.clone()
	own.Targets["manufacturers/acme/a.yaml"] = without
	restage2(t, own, "acme", key("acme", 1), key("acme", 2))
	seal(t, own)
	if r, _, err := own.Open(m, testNow()); err != nil || denied(r.List, "Acme", "M1") || !found(r, "acme lifted its statement acme.deny") {
		t.Errorf("by its own threshold: %v", err)
	}

	// the maker names its next keys itself, and from then on they lift
	next := b.clone()
	must(t, next.Delegate("acme", signers(1, key("acme new", 0)), testUntil()))
	restage2(t, next, metadata.TARGETS, key(metadata.TARGETS, 0))
	a := signers(1, key("acme new", 0)).Authority()
	_, err = next.Stage("acme", testUntil(), true, &a)
	must(t, err)
	for _, k := range []ed25519.PrivateKey{key("acme new", 0), key("acme", 0), key("acme", 1)} {
		_, _, err := next.Sign("acme", k, true)
		must(t, err)
	}
	seal(t, next)
	r, m2, err := next.Open(m, testNow())
	if err != nil || !denied(r.List, "Acme", "M1") {
		t.Fatalf("handing over: %v", err)
	}
	next.Targets["manufacturers/acme/a.yaml"] = without
	restage2(t, next, "acme", key("acme new", 0))
	seal(t, next)
	if r, _, err := next.Open(m2, testNow()); err != nil || denied(r.List, "Acme", "M1") {
		t.Errorf("by the keys it named: %v", err)
	}
	if r, _, err := next.Open(m, testNow()); err != nil || !denied(r.List, "Acme", "M1") {
		t.Errorf("by keys that were never seen named by the old: %v", err)
	}
}

func restage2(t interface{ Fatal(...any) }, b Bundle, role string, keys ...ed25519.PrivateKey) {
	_, err := b.Stage(role, testUntil(), true, nil)
	must(t, err)
	for _, k := range keys {
		_, _, err := b.Sign(role, k, true)
		must(t, err)
	}
}

// The property: whoever has the keys of root, targets, snapshot, timestamp and site, and one of a maker's
// three keys, never lifts a denial that the maker or the board made, by any sequence of releases.
func TestNoSequenceOfReleasesShortOfItsSignersLiftsADenial(t *testing.T) {
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		b := world(t)
		m := believing(t, b)
		r, m, err := b.Open(m, testNow())
		must(t, err)
		thief := key("thief", 0)
		genuine := map[string]bool{"Acme/M1": true, "Other/X1": true} // denials that have to stay
		history := []Bundle{b.clone()}
		number := 10
		for range rapid.IntRange(1, 6).Draw(t, "releases") {
			next := b.clone()
			role := rapid.SampledFrom([]string{"acme", Board}).Draw(t, "role")
			path, maker, old := "manufacturers/acme/a.yaml", "Acme", "M1"
			mine := []ed25519.PrivateKey{key("acme", 0), key("acme", 2)}
			stolen := []ed25519.PrivateKey{thief, key("acme", 1)}
			if role == Board {
				path, maker, old, mine, stolen = "safety-board/a.yaml", "Other", "X1", []ed25519.PrivateKey{key(Board, 0)}, []ed25519.PrivateKey{thief}
			}
			var added string
			number++
			what := rapid.SampledFrom([]string{"add", "steal", "steal and change", "steal and empty", "cosign", "add beside a thief", "remove", "rename", "roll back", "shadow", "give back", "reorder"}).Draw(t, "what")
			bump := func(role string) { // a thief chooses the version numbers, too
				if next.Metadata[role+".json"] != nil {
					edit(t, next, role+".json", func(s map[string]any) { s["version"] = number })
				}
			}
			sign := func(role string, keys ...ed25519.PrivateKey) {
				_, err := next.Stage(role, testUntil(), true, nil)
				must(t, err)
				bump(role)
				for _, k := range keys {
					_, _, err := next.Sign(role, k, true)
					must(t, err)
				}
			}
			top := func() {
				_, err := next.Stage(metadata.TARGETS, testUntil(), true, nil)
				must(t, err)
				bump(metadata.TARGETS)
				_, _, err = next.Sign(metadata.TARGETS, key(metadata.TARGETS, 0), false)
				must(t, err)
			}
			give := func(s Signers) {
				who := []Maker{{"globex", []string{"Globex"}, []string{"1.3.6.1.4.1.99992"}}}
				if role == "acme" || next.Metadata["acme.json"] != nil {
					who = append(who, Maker{"acme", []string{"Acme"}, []string{"1.3.6.1.4.1.99991"}})
				}
				makers, err := WriteMakers(who)
				must(t, err)
				next.Targets[MakersPath] = makers
				must(t, next.Delegate(role, s, testUntil()))
				top()
			}
			own := signers(len(mine), mine...)
			switch what {
			case "add":
				added = fmt.Sprint("N", number)
				next.Targets[path] = file("x", maker, denial(role+".deny", maker, old), denial(fmt.Sprintf("%s.deny%d", role, number), maker, added))
				if role == "acme" {
					own = signers(2, key("acme", 0), key("acme", 1), key("acme", 2))
				}
				give(own)
				sign(role, mine...)
			case "steal":
				give(signers(1, thief))
				next.Targets[path] = file("x", maker, allowing(role+".evil", maker, old))
				if role == Board {
					next.Targets[path] = file("x", maker)
				}
				sign(role, stolen...)
			case "steal and change":
				give(signers(1, thief))
				next.Targets[path] = file("x", maker, denial(role+".deny", maker, "Z9"))
				sign(role, stolen...)
			case "steal and empty":
				give(signers(1, thief))
				delete(next.Targets, path)
				sign(role, stolen...)
			case "cosign": // the maker's own content under a thief's delegation
				give(signers(1, thief))
				sign(role, append(mine, thief)...)
			case "add beside a thief":
				added = fmt.Sprint("N", number)
				give(signers(1, thief))
				next.Targets[path] = file("x", maker, denial(role+".deny", maker, old), denial(fmt.Sprintf("%s.deny%d", role, number), maker, added))
				sign(role, append(mine, thief)...)
			case "remove":
				must(t, next.Undelegate("acme", testUntil()))
				maps.DeleteFunc(next.Targets, func(p string, _ []byte) bool { return p == "manufacturers/acme/a.yaml" })
				makers, err := WriteMakers([]Maker{{"globex", []string{"Globex"}, nil}})
				must(t, err)
				next.Targets[MakersPath] = makers
				top()
			case "rename":
				if next.Metadata["acme.json"] != nil {
					makers, err := WriteMakers([]Maker{{"acme", []string{"Nobody"}, nil}, {"globex", []string{"Globex"}, nil}})
					must(t, err)
					next.Targets[MakersPath] = makers
					top()
				}
			case "roll back":
				then := history[rapid.IntRange(0, len(history)-1).Draw(t, "then")]
				next.Metadata[role+".json"] = then.Metadata[role+".json"]
				if next.Metadata[role+".json"] == nil {
					delete(next.Metadata, role+".json")
				}
				for p, text := range then.Targets {
					next.Targets[p] = text
				}
			case "shadow":
				next.Targets["manufacturers/globex/a.yaml"] = file("globex", "Globex", denial(role+".deny", "Globex", "G1"), allowing("acme.deny2", "Globex", "G2"))
				sign("globex", key("globex", 0))
			case "give back":
				if role == "acme" {
					own = signers(2, key("acme", 0), key("acme", 1), key("acme", 2))
				}
				give(own)
				sign(role, stolen...)
			case "reorder":
				edit(t, next, targetsFile, func(s map[string]any) { r := roles(s); r[0], r[len(r)-1] = r[len(r)-1], r[0]; s["version"] = number })
				_, _, err := next.Sign(metadata.TARGETS, key(metadata.TARGETS, 0), false)
				must(t, err)
			}
			seal(t, next)
			edit(t, next, snapshotFile, func(s map[string]any) { s["version"] = number })
			next.Metadata[snapshotFile] = signSnapshot(t, next)
			stamp(t, next, int64(number), testNow(), testNow().AddDate(0, 0, 7))
			opened, seen, err := next.Open(m, testNow())
			if err == nil {
				taken++
				r, b = opened, next
				if added != "" {
					genuine[maker+"/"+added] = true
				}
				text, err := seen.Encode()
				must(t, err)
				if m, err = ReadMemory(text); err != nil {
					t.Fatal(err)
				}
				history = append(history, next.clone())
			}
			for d := range genuine {
				whose := maker
				maker, model, _ := strings.Cut(d, "/")
				if denied(r.List, maker, model) {
					continue
				}
				// What the threshold of the right keys has signed without it is lifted, and that is no theft.
				if err == nil && (what == "add" || what == "cosign" || what == "add beside a thief") && maker == whose && !strings.Contains(string(next.Targets[path]), "type: deny, product: {manufacturers: ["+maker+"], models: ["+model+"]") {
					delete(genuine, d)
					continue
				}
				t.Fatalf("after %q of %s, %s is not denied: %q", what, role, d, r.Findings)
			}
		}
	})
	if taken == 0 {
		t.Error("no release was ever taken")
	}
	t.Logf("%d releases taken", taken)
}

func signSnapshot(t interface{ Fatal(...any) }, b Bundle) []byte {
	return sign(t, metadata.Snapshot(), b.Metadata[snapshotFile], key(metadata.SNAPSHOT, 0))
}
