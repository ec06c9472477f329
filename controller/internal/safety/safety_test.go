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

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func bundle(t *testing.T, number uint64, expires time.Time, k ed25519.PrivateKey) []byte {
	t.Helper()
	site := fmt.Sprintf("schema: primum-site/1\nname: demo\nfacility: F\npolicy: lab\nmin_approvers: 1\napprovers:\n- {name: a, key: %q}\n", permit.FormatPublic(public(key(9))))
	b, err := release.Make(release.Source{Number: number, Issued: now.Add(-time.Hour), Expires: expires, Site: []byte(site)}, k)
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
	k, err := Open(ctx, db, public(key(1)))
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
	if no := publish(bundle(t, 3, end, key(1))); no != nil {
		t.Fatal(no)
	}
	for name, c := range map[string]struct {
		bundle []byte
		want   list.Reason
	}{
		"another key":  {bundle(t, 4, end, key(2)), list.ListUntrusted},
		"no bundle":    {[]byte("{}"), list.ListUntrusted},
		"expired":      {bundle(t, 4, now, key(1)), list.ListExpired},
		"the same":     {bundle(t, 3, end, key(1)), list.ListOther},
		"an older one": {bundle(t, 2, end.Add(time.Hour), key(1)), list.ListOther},
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
	again, err := Open(ctx, db, public(key(1)))
	if err != nil {
		t.Fatal(err)
	}
	if r, _, no := again.Current(now); no != nil || r.Number != 3 {
		t.Errorf("after a restart: %v %v", r, no)
	}
	if _, err := Open(ctx, db, public(key(2))); err == nil {
		t.Error("a controller with another list key starts on the release in the database")
	}
}
