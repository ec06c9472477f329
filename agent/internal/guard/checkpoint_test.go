package guard

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	list "primum/safetylists"
	"primum/safetylists/budget"
	"primum/safetylists/evidence"
)

func remembering() *Guard { return New(Config{Boot: func() time.Duration { return time.Hour }}) }

// drawn is a journal of anything that a journal may hold, in any order.
func drawn(t *rapid.T) (records []evidence.Record) {
	at := time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)
	of := func(name string, n int) string { return fmt.Sprint(name, rapid.IntRange(0, n).Draw(t, name)) }
	kinds := []evidence.Kind{evidence.Session, evidence.HoldSeen, evidence.ListSeen, evidence.SiteStop, evidence.SiteGo, evidence.Cleared, evidence.PluginFault, evidence.Received,
		evidence.Started, evidence.Started, evidence.Started, evidence.Sent, evidence.Got, evidence.Outcome, evidence.Outcome}
	states := []evidence.State{evidence.Answered, evidence.Answered, evidence.Absent, evidence.Distress, evidence.Incident, evidence.Unknown, evidence.Refused}
	var head evidence.Head
	for range rapid.IntRange(1, 60).Draw(t, "records") {
		// weeks lie between some records, and a wall clock may be set back
		at = at.Add(time.Duration(rapid.IntRange(-100, 5000).Draw(t, "minutes")) * time.Minute)
		r := evidence.Record{At: at, Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		switch r.Kind {
		case evidence.Session:
			r.Epoch = uint64(rapid.IntRange(1, 20).Draw(t, "epoch"))
		case evidence.HoldSeen, evidence.ListSeen:
			r.Version = uint64(rapid.IntRange(1, 20).Draw(t, "version"))
		case evidence.SiteStop, evidence.SiteGo:
			r.Words = of("why", 3)
		case evidence.Started:
			r.Permit, r.Device, r.Address, r.Query, r.Caller = of("permit", 9), of("device", 3), of("192.0.2.", 3), of("query", 2), of("caller", 1)
			r.MAC = fmt.Sprintf("02:00:00:00:00:%02d", rapid.IntRange(0, 3).Draw(t, "mac"))
			r.GapMS, r.RestMS = int64(rapid.IntRange(0, 99_000).Draw(t, "gap")), int64(rapid.IntRange(0, 1_000_000_000).Draw(t, "rest"))
		case evidence.Sent, evidence.Got, evidence.Cleared:
			r.Permit, r.Device = of("permit", 9), of("device", 3)
		case evidence.Outcome:
			r.Permit, r.Device = of("permit", 9), of("device", 3)
			r.Result = &evidence.Result{State: rapid.SampledFrom(states).Draw(t, "state"), Detail: of("detail", 3), TookUS: int64(rapid.IntRange(0, 3).Draw(t, "took"))}
			if rapid.Bool().Draw(t, "engine?") {
				r.Result.Engine = &evidence.Engine{ID: of("80", 9), Boots: rapid.Uint32().Draw(t, "boots"), Time: rapid.Uint32().Draw(t, "time")}
			}
			if rapid.Bool().Draw(t, "uptime?") {
				up := rapid.Uint32().Draw(t, "uptime")
				r.Result.Uptime = &up
			}
			if rapid.IntRange(0, 5).Draw(t, "credential?") == 0 {
				r.Result.Reason, r.Result.Credential = list.CredentialRefused, of("credential", 3)
			}
		}
		b, _, err := head.Next(r).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if r, head, err = head.Follow(b); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// H-042: a trimmed journal forbids what the whole one forbids. Journals of all kinds of records are trimmed at any place, and
// once more at a later one; with and without a journal that was put aside before. Whoever gives the memory a new field
// has it in the checkpoint and in these journals, or this test is red.
func TestAMemoryFromACheckpointIsThatOfTheWholeJournal(t *testing.T) {
	filled := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		whole, trimmed := remembering(), remembering()
		if rapid.Bool().Draw(t, "put aside") {
			for _, r := range drawn(t) {
				whole.Replay(r)
				trimmed.Replay(r)
			}
			whole.ClosePast()
			trimmed.ClosePast()
		}
		records := drawn(t)
		cuts := []int{rapid.IntRange(0, len(records)).Draw(t, "cut"), rapid.IntRange(0, len(records)).Draw(t, "second cut")}
		for i, r := range records {
			for _, cut := range cuts {
				if cut != i {
					continue
				}
				b, err := trimmed.Checkpoint()
				if err != nil {
					t.Fatal(err)
				}
				trimmed = remembering()
				trimmed.Replay(evidence.Record{Kind: evidence.Started, Permit: "of a journal put aside", Device: "d"}) // the checkpoint stands for that too
				if err := trimmed.Restore(b); err != nil {
					t.Fatal(err)
				}
			}
			whole.Replay(r)
			trimmed.Replay(r)
		}
		apart := cmp.FilterPath(func(p cmp.Path) bool {
			return slices.Contains([]string{".cfg", ".boot", ".mu", ".budgets"}, p.Last().String())
		}, cmp.Ignore())
		if diff := cmp.Diff(whole, trimmed, apart, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Fatalf("guard of the whole journal (-) and of checkpoint and rest (+):\n%s", diff)
		}
		for i := range 64 { // budgets hash their names, each with a seed of its own
			d := list.Device{ID: fmt.Sprint("device", i%4), Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i / 4 % 4)}), MAC: fmt.Sprintf("02:00:00:00:00:%02d", i/16)}
			v := budget.Visit{Device: d, Packets: 8}
			want, _ := whole.budgets.Wait(v, time.Hour)
			if got, _ := trimmed.budgets.Wait(v, time.Hour); got != want {
				t.Fatalf("%s at %s waits %s, of the whole journal %s", d.ID, d.Address, got, want)
			}
		}
		fields(reflect.ValueOf(whole.mem), "memory", filled)
	})
	all := map[string]bool{}
	types(reflect.TypeFor[memory](), "memory", all)
	for name := range all {
		if !filled[name] {
			t.Errorf("no journal that was drawn has filled %s: the test shows nothing of it", name)
		}
	}
}

// fields names what is filled of the guard's own types.
func fields(v reflect.Value, name string, filled map[string]bool) {
	switch v.Kind() {
	case reflect.Map:
		for _, k := range v.MapKeys() {
			fields(v.MapIndex(k), name, filled)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fields(v.Elem(), name, filled)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); ours(v.Type()) && !v.Field(i).IsZero() && (v.Field(i).Kind() != reflect.Map || v.Field(i).Len() > 0) {
				filled[name+"."+f.Name] = true
				fields(v.Field(i), name+"."+f.Name, filled)
			}
		}
	}
}

// types names every field of the guard's own types.
func types(t reflect.Type, name string, all map[string]bool) {
	for t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || !ours(t) {
		return
	}
	for i := range t.NumField() {
		all[name+"."+t.Field(i).Name] = true
		types(t.Field(i).Type, name+"."+t.Field(i).Name, all)
	}
}

func ours(t reflect.Type) bool { return strings.HasSuffix(t.PkgPath(), "agent/internal/guard") }

// A checkpoint of another version, or one that was cut or added to, is not half taken.
func TestACheckpointOfAnotherFormIsRefused(t *testing.T) {
	g := remembering()
	g.Replay(evidence.Record{Kind: evidence.Started, Permit: "p", Device: "d", At: time.Unix(1, 0)})
	b, err := g.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, bad := range map[string]string{
		"nothing":           "",
		"cut":               text[:len(text)-1],
		"more after it":     text + text,
		"another form":      strings.Replace(text, `"Form":1`, `"Form":2`, 1),
		"no form":           strings.Replace(text, `"Form":1,`, ``, 1),
		"an unknown field":  strings.Replace(text, `"Epoch":0`, `"Epoch":0,"More":1`, 1),
		"an unknown record": strings.Replace(text, `"Gap":0`, `"Gap":0,"More":1`, 1),
	} {
		if bad == text {
			t.Errorf("%s: the change changed nothing", name)
		}
		other := remembering()
		if err := other.Restore([]byte(bad)); err == nil || len(other.mem.Used) > 0 {
			t.Errorf("%s: %v, and %d permits are remembered", name, err, len(other.mem.Used))
		}
	}
}

// H-042: a spent permit is remembered until its session is over and its time is long gone; one of them is not enough.
func TestASpentPermitIsRememberedUntilNeitherSessionNorTimeAllowIt(t *testing.T) {
	start := time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)
	session := func(epoch uint64, after time.Duration) evidence.Record {
		return evidence.Record{Kind: evidence.Session, Epoch: epoch, At: start.Add(after)}
	}
	for _, c := range []struct {
		name   string
		then   []evidence.Record
		forgot bool
	}{
		{"at once", nil, false},
		{"in the next session", []evidence.Record{session(2, time.Minute)}, false},
		{"a year later in the same session", []evidence.Record{session(1, 365*24*time.Hour)}, false},
		{"in a later session, after a week", []evidence.Record{session(2, time.Minute), session(3, usedKept+time.Minute)}, true},
	} {
		g := remembering()
		g.Replay(session(1, 0))
		g.Replay(evidence.Record{Kind: evidence.Started, Permit: "p", Device: "d", At: start})
		for _, r := range c.then {
			g.Replay(r)
		}
		if _, used := g.mem.Used["p"]; used == c.forgot {
			t.Errorf("%s: remembered is %v", c.name, used)
		}
	}
}
