package dispatch

import (
	"os"
	"testing"
	"time"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
)

// H-035: a controller is restored from a backup, and before an agent is back somebody places a hold, so that it has as many changes of holds as
// the one before had. Its agents know of a hold that it has not, and everything is held all the same; once a person has looked, it is not
// held anew for who comes later with the same knowledge.
func TestARestoredControllerWithAHoldOfItsOwnHoldsEverything(t *testing.T) {
	s, _ := service(t)
	life := func(dir string) *store.Store {
		t.Helper()
		db, err := store.Open(t.Context(), dir, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	place := func(db *store.Store, tag string) uint64 {
		t.Helper()
		h, err := db.PlaceHold(t.Context(), store.Hold{Scope: "device", Value: tag, Reason: "r", PlacedBy: "a", PlacedAt: time.Now()}, nil, store.Audit{At: time.Now(), Actor: "a"})
		if err != nil {
			t.Fatal(err)
		}
		return h.Version
	}
	dir, restored := t.TempDir(), t.TempDir()
	db := life(dir)
	kept := place(db, "10-0")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(restored, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	lost := place(life(dir), "10-1")
	s.Store = life(restored)
	place(s.Store, "10-2")

	everything := func(agent string, seen uint64) (held bool) {
		t.Helper()
		st, ended := connect(t, s, enrolled(t, s, agent), &controlv1.Hello{Incarnation: []byte("0123456789abcdef"), HoldVersion: seen})
		select {
		case <-st.out:
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(5 * time.Second):
			t.Fatal("no welcome")
		}
		_, holds, err := s.Store.HoldsInForce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range holds {
			if h.Scope != "all" {
				continue
			}
			held = true
			if err := s.Store.LiftHold(t.Context(), h.ID, "a", "looked", store.Audit{At: time.Now(), Actor: "a"}); err != nil {
				t.Fatal(err)
			}
		}
		return held
	}
	if everything("icu", kept) {
		t.Error("everything is held for what the backup knows")
	}
	if !everything("ward", lost) {
		t.Error("an agent knows of a hold that the backup has not, and nothing is held")
	}
	if everything("east", lost) {
		t.Error("everything is held once more for what a person has looked at")
	}
}

// H-035: an agent claims the highest version of holds that is believed. The controller's next hold is above it, and who has taken that one comes
// back: nobody is turned away for a number that the controller gave itself.
func TestWhoHasSeenTheControllersOwnHoldIsNotTurnedAway(t *testing.T) {
	s, _ := service(t)
	comes := func(agent string, seen uint64) (version uint64) {
		t.Helper()
		st, ended := connect(t, s, enrolled(t, s, agent), &controlv1.Hello{Incarnation: []byte("0123456789abcdef"), HoldVersion: seen})
		select {
		case m := <-st.out:
			return m.GetWelcome().GetHoldVersion()
		case err := <-ended:
			t.Fatalf("agents/%s, which has seen %d: %v", agent, seen, err)
		case <-time.After(5 * time.Second):
			t.Fatal("no welcome")
		}
		return 0
	}
	placed := comes("icu", mostCounted)
	if placed <= mostCounted {
		t.Fatalf("the hold has version %d", placed)
	}
	comes("ward", placed)
}
