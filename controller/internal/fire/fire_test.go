package fire

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"primum/controller/internal/bell"
	"primum/controller/internal/schedule"
	"primum/controller/internal/store"
	"primum/safetylists/permit"
)

// clock is a Clock over a real store, with an approved plan for one occurrence, and a wall clock that the test sets.
type clock struct {
	*Clock
	t   *testing.T
	now time.Time
	o   schedule.Occurrence
}

func approved(t *testing.T, recurrence, zone string, duration time.Duration, before time.Time) *clock {
	t.Helper()
	s, err := schedule.Parse(recurrence, zone, duration)
	if err != nil {
		t.Fatal(err)
	}
	o, ok := s.Next(before)
	if !ok {
		t.Fatalf("%s never opens", recurrence)
	}
	db, err := store.Open(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	document, err := permit.Plan{ID: "p", Site: "north", Origin: permit.FromWindow, Caller: "windows/night", Opens: o.Opens, Closes: o.Closes, Made: before,
		Refusals: []permit.PlanRefusal{{Device: "10-1", Reason: "NOT_APPROVED"}}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	a := store.Audit{At: before, Actor: "test", Verb: "put", Resource: "plans/p"}
	if err := db.Enrol(t.Context(), store.Certificate{Serial: "1", Agent: "icu", Until: o.Closes.Add(time.Hour)}, make([]byte, 32), before); err != nil {
		t.Fatal(err)
	}
	if err := db.PutPlan(t.Context(), store.Plan{Name: "p", Caller: "windows/night", Agent: "icu", Opens: o.Opens, Closes: o.Closes, Digest: []byte{1}, List: []byte{2}, Document: document, State: store.Approved}, nil, a); err != nil {
		t.Fatal(err)
	}
	c := &clock{t: t, o: o, now: before}
	c.Clock = &Clock{Store: db, Bell: &bell.Bell{}, Now: func() time.Time { return c.now }, Log: slog.New(slog.DiscardHandler)}
	return c
}

// look looks once at a moment of the wall clock, and returns how many runs there are.
func (c *clock) look(at time.Time) int {
	c.t.Helper()
	c.now = at
	if err := c.Look(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	runs, err := c.Store.Runs(context.WithoutCancel(c.t.Context()), "", 10)
	if err != nil {
		c.t.Fatal(err)
	}
	return len(runs)
}

func (c *clock) state() string {
	c.t.Helper()
	p, err := c.Store.Plan(c.t.Context(), "p")
	if err != nil {
		c.t.Fatal(err)
	}
	return p.State
}

// H-019: an approved time that spans the change to or from summer time, or lies in the hour that comes twice or not at
// all, opens once, at the moment that its zone names, and lasts as long as it says, whatever the clock on the wall shows.
func TestAnApprovedTimeThatSpansAChangeOfTheClockFiresOnceAndLastsAsLongAsItSays(t *testing.T) {
	for name, c := range map[string]struct {
		recurrence, zone     string
		duration             time.Duration
		opens, closes        string
		wallOpens, wallClose string
	}{
		"to summer time, across it":       {"DTSTART:20270301T013000\nRRULE:FREQ=DAILY", "Europe/Berlin", 2 * time.Hour, "2027-03-28T00:30:00Z", "2027-03-28T02:30:00Z", "01:30 CET", "04:30 CEST"},
		"to summer time, skipped":         {"DTSTART:20270301T023000\nRRULE:FREQ=DAILY", "Europe/Berlin", time.Hour, "2027-03-28T01:30:00Z", "2027-03-28T02:30:00Z", "03:30 CEST", "04:30 CEST"},
		"from summer time, across it":     {"DTSTART:20261001T013000\nRRULE:FREQ=DAILY", "Europe/Berlin", 2 * time.Hour, "2026-10-24T23:30:00Z", "2026-10-25T01:30:00Z", "01:30 CEST", "02:30 CET"},
		"from summer time, in both hours": {"DTSTART:20261001T021500\nRRULE:FREQ=DAILY", "Europe/Berlin", 30 * time.Minute, "2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z", "02:15 CEST", "02:45 CEST"},
		"half an hour, across it":         {"DTSTART:20260901T010000\nRRULE:FREQ=DAILY", "Australia/Lord_Howe", 2 * time.Hour, "2026-10-03T14:30:00Z", "2026-10-03T16:30:00Z", "01:00 +1030", "03:30 +11"},
	} {
		t.Run(name, func(t *testing.T) {
			opens, err := time.Parse(time.RFC3339, c.opens)
			if err != nil {
				t.Fatal(err)
			}
			zone, err := time.LoadLocation(c.zone)
			if err != nil {
				t.Fatal(err)
			}
			k := approved(t, c.recurrence, c.zone, c.duration, opens.Add(-90*time.Minute))
			if got := k.o.Opens.Format(time.RFC3339); got != c.opens || k.o.Closes.Format(time.RFC3339) != c.closes {
				t.Fatalf("from %s to %s", got, k.o.Closes.Format(time.RFC3339))
			}
			if a, b := k.o.Opens.In(zone).Format("15:04 MST"), k.o.Closes.In(zone).Format("15:04 MST"); a != c.wallOpens || b != c.wallClose {
				t.Errorf("on the wall from %s to %s", a, b)
			}
			for at := k.o.Opens.Add(-80 * time.Minute); at.Before(k.o.Closes.Add(90 * time.Minute)); at = at.Add(5 * time.Minute) {
				want := 0
				if !at.Before(k.o.Opens) {
					want = 1
				}
				if n := k.look(at.In(zone)); n != want { // the moment counts, not how it is written
					t.Fatalf("at %s: %d runs, want %d", at.In(zone), n, want)
				}
			}
		})
	}
}

// H-018: a wall clock that is set, both ways and at any place, fires no plan twice, none outside its time, and none that
// it has let expire.
func TestAWallClockThatIsSetFiresNoPlanTwiceOrOutsideItsTime(t *testing.T) {
	start := time.Date(2027, 1, 10, 2, 0, 0, 0, time.UTC)
	type step struct {
		at    time.Duration // of the opening
		runs  int
		state string
	}
	for name, steps := range map[string][]step{
		"ahead over all of it, and back": {{-time.Minute, 0, "APPROVED"}, {2 * time.Hour, 0, "EXPIRED"}, {10 * time.Minute, 0, "EXPIRED"}},
		"back after it has fired":        {{0, 1, "FIRED"}, {-time.Hour, 1, "FIRED"}, {0, 1, "FIRED"}, {time.Minute, 1, "FIRED"}},
		"back before it opens":           {{-time.Second, 0, "APPROVED"}, {-24 * time.Hour, 0, "APPROVED"}, {0, 1, "FIRED"}},
		"ahead into it":                  {{-23 * time.Hour, 0, "APPROVED"}, {59 * time.Minute, 1, "FIRED"}},
		"to its last moment, and past":   {{time.Hour, 0, "EXPIRED"}, {time.Hour - time.Millisecond, 0, "EXPIRED"}},
		"a year back, and a year ahead":  {{-365 * 24 * time.Hour, 0, "APPROVED"}, {365 * 24 * time.Hour, 0, "EXPIRED"}, {0, 0, "EXPIRED"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := approved(t, "DTSTART:20270110T030000", "Europe/Berlin", time.Hour, start.Add(-24*time.Hour))
			for n, s := range steps {
				if runs := k.look(k.o.Opens.Add(s.at)); runs != s.runs || k.state() != s.state {
					t.Fatalf("step %d: %d runs, %s; want %d, %s", n+1, runs, k.state(), s.runs, s.state)
				}
			}
		})
	}
}
