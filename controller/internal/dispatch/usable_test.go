package dispatch

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"primum/controller/internal/approve"
	"primum/controller/internal/bell"
	"primum/controller/internal/safety"
	"primum/controller/internal/store"
	list "primum/safetylists"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

// service is one on a real store, with a release that site demo's approver "a" (key 9) may approve under.
func service(t *testing.T) (*Service, *release.Release) {
	t.Helper()
	db, err := store.Open(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	root, err := release.NewStaff([]byte{1}).Root()
	if err != nil {
		t.Fatal(err)
	}
	lists, err := safety.Open(t.Context(), db, root)
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{Store: db, Safety: lists, Bell: &bell.Bell{}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Lease: time.Second,
		Device: func(context.Context, string) (list.Device, error) { return list.Device{}, store.ErrNotFound }}
	return s, publish(t, s, 1)
}

func publish(t *testing.T, s *Service, number uint64) *release.Release {
	t.Helper()
	now := time.Now()
	site := fmt.Sprintf("schema: primum-site/1\nname: demo\nfacility: F%d\npolicy: lab\nmin_approvers: 1\napprovers:\n- {name: a, key: %q}\n", number, permit.FormatPublic(key(9).Public().(ed25519.PublicKey)))
	b, err := release.Make(release.Source{Number: number, Issued: now, Expires: now.Add(time.Hour), Site: []byte(site)}, release.NewStaff([]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	r, no, err := s.Safety.Publish(t.Context(), b, store.Audit{At: now, Actor: "test"})
	if err != nil || no != nil {
		t.Fatal(no, err)
	}
	return r
}

func TestAPlanIsHeldToItsApprovalAndItsReleaseOnceMoreBeforeItGoesOut(t *testing.T) {
	s, r := service(t)
	ses := &session{Service: s, refused: map[permit.Digest][2]string{}}
	now := time.Now().UTC().Truncate(time.Millisecond)
	p := permit.Plan{ID: "plans/1", Site: "demo", Opens: now, Closes: now.Add(time.Minute), Made: now, List: r.Digest, Items: []permit.Item{}, Refusals: []permit.PlanRefusal{}}
	doc, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, digest, err := permit.DecodePlan(doc)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(k byte) *loaded {
		return &loaded{document: doc, digest: digest, plan: p, leave: approve.Leave{Plan: []permit.Signature{{By: "a", Sig: permit.Sign(permit.DomainPlan, key(k), doc)}}}}
	}
	if no := ses.usable(signed(9)); no != nil {
		t.Fatalf("approved: %s", no)
	}
	reason := func(l *loaded) list.Reason {
		if no := ses.usable(l); no != nil {
			return no.Reason
		}
		return list.Allowed
	}
	if got := reason(signed(8)); got != list.PlanNotApproved {
		t.Errorf("a row of the database with a forged signature: %s", got)
	}
	if got := reason(&loaded{document: doc, digest: digest, plan: p}); got != list.PlanNotApproved {
		t.Errorf("a row of the database without a signature: %s", got)
	}
	ses.refused[digest] = [2]string{string(list.PlanNotApproved), "no"}
	if got := reason(signed(9)); got != list.PlanNotApproved {
		t.Errorf("refused by the agent: %s", got)
	}
	clear(ses.refused)
	publish(t, s, 2)
	if got := reason(signed(9)); got != list.ListOther {
		t.Errorf("a newer release came: %s", got)
	}
}

// H-035: what an agent has seen of holds and the controller has not, as after a restore, holds everything.
func TestAControllerThatKnowsLessOfHoldsThanAnAgentHoldsEverything(t *testing.T) {
	s, _ := service(t)
	if _, err := s.holdEverything(t.Context(), "icu", 40); err != nil {
		t.Fatal(err)
	}
	version, holds, err := s.Store.HoldsInForce(t.Context())
	if err != nil || version <= 40 || len(holds) != 1 || holds[0].Scope != "all" || holds[0].PlacedBy != "controller" {
		t.Errorf("version %d, %+v, %v", version, holds, err)
	}
}
