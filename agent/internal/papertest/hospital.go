package papertest

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

// Hospital makes papers for many devices from real list files: every allowance is signed off, every
// candidate question is decided, and the plan holds what was allowed and what was refused. More are fields of the site file.
func Hospital(t testing.TB, now time.Time, site, facility string, files map[string][]byte, devices []list.Device, more ...string) *Papers {
	t.Helper()
	now = now.UTC().Truncate(time.Millisecond)
	p := &Papers{Now: now}
	p.staff(t)
	p.PermitKey, p.permitPriv = key(t)
	approverPub, approverPriv := key(t)
	p.approver = approverPriv
	var signOffs strings.Builder
	for name, text := range files {
		f, err := list.Load(name, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range f.Statements {
			if s.Type == list.Allow {
				fmt.Fprintf(&signOffs, "- {statement: %s, digest: %x, by: [%s], on: 2026-11-24}\n", s.ID, s.Digest, Approver)
			}
		}
	}
	doc := fmt.Sprintf("schema: primum-site/1\nname: %s\nfacility: %s\npolicy: lab\nmin_approvers: 1\napprovers:\n- {name: %s, key: %q}\n%ssign_offs:\n%s",
		site, facility, Approver, permit.FormatPublic(approverPub), strings.Join(more, ""), signOffs.String())
	var err error
	src := release.Source{Number: 1, Issued: now.Add(-time.Hour), Expires: now.Add(24 * time.Hour), Files: files, Site: []byte(doc)}
	if p.Bundle, err = release.Make(src, p.lists); err != nil {
		t.Fatal(err)
	}
	p.Release = p.open(t, p.Bundle)
	p.Plan = permit.Plan{ID: "p1", Site: site, Origin: permit.FromWindow, Caller: "windows/w", Opens: now.Add(-time.Second), Closes: now.Add(5 * time.Minute),
		List: p.Release.Digest, Made: now}
	for _, d := range devices {
		p.add(d)
	}
	// Datagrams first: the gap after a TCP conversation is a minute.
	slices.SortStableFunc(p.Plan.Items, func(a, b permit.Item) int {
		return strings.Compare(b.Query.Kind().Transport(), a.Query.Kind().Transport())
	})
	p.Approve(t)
	return p
}

// add decides every candidate question of a device.
func (p *Papers) add(d list.Device) {
	refuse := func(r list.Reason, detail, question string) {
		p.Plan.Refusals = append(p.Plan.Refusals, permit.PlanRefusal{Device: d.ID, Name: d.Name, Place: d.Place, Question: question, Reason: r, Detail: detail})
	}
	candidates := p.Release.List.Candidates(d)
	if len(candidates) == 0 {
		refuse(list.NotApproved, "", "")
	}
	for _, c := range candidates {
		dec := p.Release.List.DecideCandidate(d, c, p.Now)
		if !dec.Allowed() {
			refuse(dec.Reason, dec.Detail(), c.Query.String())
			continue
		}
		p.Plan.Items = append(p.Plan.Items, permit.Item{Device: d, Query: c.Query, Limits: dec.Limits, Purpose: dec.Purpose, Statements: dec.Statements})
	}
}

// Permits mints one permit for each item of the plan, for one work order.
func (p *Papers) Permits(t testing.TB) [][]byte {
	t.Helper()
	var out [][]byte
	for i, item := range p.Plan.Items {
		out = append(out, p.Permit(t, func(pm *permit.Permit) {
			pm.Item, pm.Ordinal, pm.Device = uint32(i), uint32(i), item.Device.ID
			pm.Address = netip.AddrPortFrom(item.Device.Address, item.Query.Port())
			if _, err := rand.Read(pm.ID[:]); err != nil {
				t.Fatal(err)
			}
		}))
	}
	return out
}
