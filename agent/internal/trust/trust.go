// Package trust holds what the agent believes, and why: the list release that it verified itself, the
// newest release that it has ever seen, and the plans whose approval it verified. It never reaches
// wire. Whatever the controller sends can only narrow what these papers already allow.
package trust

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"primum/agent/internal/task"
	list "primum/safetylists"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

// Store is the agent's memory of papers. It is safe for concurrent use.
type Store struct {
	dir     string
	policy  list.Policy
	listKey ed25519.PublicKey

	mu      sync.Mutex
	current *release.Release // guarded by mu, as is all below
	newest  uint64
	plans   map[permit.Digest]task.Approved
}

type remembered struct {
	Newest uint64 `json:"newest"`
}

const (
	bundleFile = "list-release.json"
	newestFile = "list-newest.json"
	maxPlans   = 16
)

// Open reads what an earlier run left in dir. A release that no longer verifies is dropped: without
// one everything is refused.
func Open(dir string, policy list.Policy, listKey ed25519.PublicKey) (*Store, error) {
	if policy != list.Lab && policy != list.Real {
		return nil, fmt.Errorf("open papers: policy is %q; it is lab or real", policy)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open papers: %w", err)
	}
	s := &Store{dir: dir, policy: policy, listKey: listKey, plans: map[permit.Digest]task.Approved{}}
	b, err := os.ReadFile(filepath.Join(dir, newestFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open papers: %w", err)
	default:
		var r remembered
		if err := json.Unmarshal(b, &r); err != nil {
			return nil, fmt.Errorf("open papers: %s: %w", newestFile, err)
		}
		s.newest = r.Newest
	}
	b, err = os.ReadFile(filepath.Join(dir, bundleFile))
	if err == nil {
		if r, err := release.Open(b, listKey); err == nil && r.Number >= s.newest && r.List.Site().Policy == policy {
			s.current = r
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open papers: %w", err)
	}
	return s, nil
}

// Take verifies a list release and makes it the current one. The refusal says why not; the one in use
// then stays (H-014, H-015).
func (s *Store) Take(bundle []byte, at time.Time) *list.Refusal {
	r, err := release.Open(bundle, s.listKey)
	if err != nil {
		return list.Refuse(list.ListUntrusted, err.Error())
	}
	if r.ExpiredAt(at) {
		return list.Refuse(list.ListExpired, "it ended on "+r.Expires.Format(time.DateOnly))
	}
	if p := r.List.Site().Policy; p != s.policy {
		return list.Refuse(list.ListUntrusted, fmt.Sprintf("it is for %s policy, this agent is under %s policy", p, s.policy))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Number < s.newest {
		return list.Refuse(list.ListUntrusted, fmt.Sprintf("release %d is older than %d, which was seen before", r.Number, s.newest))
	}
	if s.current != nil && r.Number == s.newest && r.Digest != s.current.Digest {
		return list.Refuse(list.ListUntrusted, fmt.Sprintf("two different releases have number %d", r.Number))
	}
	note, err := json.Marshal(remembered{r.Number})
	if err == nil {
		err = errors.Join(writeFile(filepath.Join(s.dir, newestFile), note), writeFile(filepath.Join(s.dir, bundleFile), bundle))
	}
	if err != nil {
		return list.Refuse(list.JournalFailed, err.Error())
	}
	s.current, s.newest = r, r.Number
	s.plans = map[permit.Digest]task.Approved{} // they were decided on another list
	return nil
}

func writeFile(path string, b []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Current returns the release in use, nil if there is none, and the newest number ever seen.
func (s *Store) Current() (*release.Release, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.newest
}

// Signature is one approver's signature.
type Signature struct {
	By  string
	Sig []byte
}

// Approval is the leave that came with a plan.
type Approval struct {
	Plan         []Signature // over the plan document
	Standing     []byte      // canonical, or empty
	StandingSigs []Signature
}

// TakePlan verifies a plan document and its approval by the approvers of the site file, and keeps it.
func (s *Store) TakePlan(document []byte, a Approval, at time.Time) *list.Refusal {
	plan, digest, err := permit.DecodePlan(document)
	if err != nil {
		return list.Refuse(list.PlanNotApproved, err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return list.Refuse(list.NoList, "")
	}
	site := s.current.List.Site()
	switch {
	case plan.List != s.current.Digest:
		return list.Refuse(list.ListOther, "")
	case plan.Site != site.Name:
		return list.Refuse(list.PlanNotApproved, "it is for site "+plan.Site)
	}
	approved := task.Approved{Plan: plan, Digest: digest}
	if len(a.Standing) == 0 {
		if n := signers(site, permit.DomainPlan, document, a.Plan); n < site.MinApprovers {
			return list.Refuse(list.PlanNotApproved, fmt.Sprintf("%d of %d approvers have signed", n, site.MinApprovers))
		}
	} else {
		standing, _, err := permit.DecodeStanding(a.Standing)
		if err != nil {
			return list.Refuse(list.PlanNotApproved, err.Error())
		}
		if n := signers(site, permit.DomainStanding, a.Standing, a.StandingSigs); n < site.MinApprovers {
			return list.Refuse(list.PlanNotApproved, fmt.Sprintf("%d of %d approvers have signed the standing approval", n, site.MinApprovers))
		}
		if r := standing.Covers(plan, at); r != nil {
			return r
		}
		approved.Standing = &standing
	}
	if len(s.plans) >= maxPlans {
		for d, p := range s.plans {
			if !at.Before(p.Plan.Closes) {
				delete(s.plans, d)
			}
		}
	}
	s.plans[digest] = approved
	return nil
}

// signers counts distinct approvers of the site whose signature verifies.
func signers(site list.Site, d permit.Domain, body []byte, sigs []Signature) int {
	good := map[string]bool{}
	for _, sig := range sigs {
		if key, ok := site.Approvers[sig.By]; ok && permit.Verify(d, key, body, sig.Sig) == nil {
			good[sig.By] = true
		}
	}
	return len(good)
}

// Plan returns a plan that was taken.
func (s *Store) Plan(d permit.Digest) (task.Approved, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.plans[d]
	return a, ok
}
