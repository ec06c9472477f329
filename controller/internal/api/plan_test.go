package api

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"

	"primum/controller/internal/store"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

// H-047: whoever signs a plan is told that hours of the site file are those of no ward.
func TestAPlanTellsOfHoursWhereNoDeviceIs(t *testing.T) {
	a := office(t, "10-1")
	s := &planService{API: a}
	if notes, err := s.notes(t.Context()); err != nil || notes != nil {
		t.Fatalf("without a release: %v %v", notes, err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	site := fmt.Sprintf("schema: primum-site/1\nname: demo\nfacility: F\npolicy: lab\nmin_approvers: 1\napprovers:\n- {name: a, key: %q}\nzone: Europe/Vienna\nquiet: [{place: Radiolgy, from: \"07:00\", to: \"19:00\"}]\n", permit.FormatPublic(key))
	now := time.Now()
	b, err := release.Make(release.Source{Number: 1, Issued: now, Expires: now.Add(time.Hour), Site: []byte(site)}, release.NewStaff([]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	if _, no, err := a.Safety.Publish(t.Context(), b, store.Audit{At: now, Actor: "test"}); err != nil || no != nil {
		t.Fatal(no, err)
	}
	notes, err := s.notes(t.Context())
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "Radiolgy, from 07:00 to 19:00") {
		t.Errorf("%v %v", notes, err)
	}
}
