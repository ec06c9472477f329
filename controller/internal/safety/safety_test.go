package safety

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"primum/controller/internal/store"
	list "primum/safetylists"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

var now = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

func staff(secret byte) release.Staff { return release.NewStaff([]byte{secret}) }

func root(t *testing.T, s release.Staff) []byte {
	t.Helper()
	b, err := s.Root()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bundle(t *testing.T, number, timestamp uint64, expires time.Time, s release.Staff) []byte {
	t.Helper()
	approver := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	site := fmt.Sprintf("schema: primum-site/1\nname: demo\nfacility: F\npolicy: lab\nmin_approvers: 1\napprovers:\n- {name: a, key: %q}\n", permit.FormatPublic(approver))
	b, err := release.Make(release.Source{Number: number, Timestamp: timestamp, Issued: now.Add(-time.Hour), Expires: expires, Site: []byte(site)}, s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheListInForceIsSignedNewestAndNotExpired(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	db, err := store.Open(ctx, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	k, err := Open(ctx, db, root(t, staff(1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, no := k.Current(now); no == nil || no.Reason != list.NoList {
		t.Errorf("without a release: %v", no)
	}
	end := now.Add(time.Hour)
	publish := func(b []byte) *list.Refusal {
		t.Helper()
		_, no, err := k.Publish(ctx, b, store.Audit{At: now, Actor: "test"})
		if err != nil {
			t.Fatal(err)
		}
		return no
	}
	if no := publish(bundle(t, 3, 3, end, staff(1))); no != nil {
		t.Fatal(no)
	}
	for name, c := range map[string]struct {
		bundle []byte
		want   list.Reason
	}{
		"another staff": {bundle(t, 4, 4, end, staff(2)), list.ListUntrusted},
		"no bundle":     {[]byte("{}"), list.ListUntrusted},
		"expired":       {bundle(t, 4, 4, now, staff(1)), list.ListExpired},
		"the same":      {bundle(t, 3, 3, end, staff(1)), list.ListOther},
		"an older one":  {bundle(t, 2, 4, end.Add(time.Hour), staff(1)), list.ListUntrusted},
	} {
		if no := publish(c.bundle); no == nil || no.Reason != c.want {
			t.Errorf("%s: %v", name, no)
		}
		if r, _, no := k.Current(now); no != nil || r.Number != 3 {
			t.Fatalf("%s: in force is %v, %v", name, r, no)
		}
	}
	if _, _, no := k.Current(end); no == nil || no.Reason != list.ListExpired {
		t.Errorf("after its end: %v", no)
	}
	// The publisher renews the timestamp: the same release lives on, and so do its plans.
	before, _, _ := k.Current(now)
	if no := publish(bundle(t, 3, 5, end.Add(time.Hour), staff(1))); no != nil {
		t.Fatal(no)
	}
	if r, _, no := k.Current(end); no != nil || r.Number != 3 || r.Digest != before.Digest || r.Timestamp != 5 {
		t.Errorf("with a renewed timestamp: %v %v", r, no)
	}
	if no := publish(bundle(t, 3, 4, end.Add(2*time.Hour), staff(1))); no == nil || no.Reason != list.ListUntrusted {
		t.Errorf("with an older timestamp: %v", no)
	}
	again, err := Open(ctx, db, root(t, staff(1)))
	if err != nil {
		t.Fatal(err)
	}
	if r, _, no := again.Current(now); no != nil || r.Number != 3 || r.Timestamp != 5 {
		t.Errorf("after a restart: %v %v", r, no)
	}
	if _, err := Open(ctx, db, root(t, staff(2))); err == nil {
		t.Error("a controller with another list root starts on the release in the database")
	}
}
