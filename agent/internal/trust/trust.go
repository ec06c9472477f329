// Package trust holds what the agent believes, and why: the list release that it verified itself, the
// newest release that it has ever seen, and the plans whose approval it verified. It never reaches
// wire. Whatever the controller sends can only narrow what these papers already allow.
package trust

import (
	"crypto/sha256"
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
	dir    string
	policy list.Policy
	anchor string // SHA-256 of the root that a person handed over

	mu      sync.Mutex
	memory  release.Memory   // guarded by mu, as is all below
	bundle  []byte           // of current
	current *release.Release // nil: none
	plans   map[permit.Digest]task.Approved
}

// kept is what lies on disk: one file, so that a release is never used before it is remembered.
type kept struct {
	Anchor string          `json:"anchor"`
	Memory json.RawMessage `json:"memory"`
	Bundle []byte          `json:"bundle"`
}

const (
	keptFile = "list-trust.json"
	maxPlans = 16
)

// Open reads what an earlier run left in dir. A release that no longer verifies is dropped: without
// one everything is refused. A memory that cannot be read, or that began with another root, is an
// error: somebody has to look, for without it an old release would pass for a new one.
func Open(dir string, policy list.Policy, root []byte) (*Store, error) {
	if policy != list.Lab && policy != list.Real {
		return nil, fmt.Errorf("open papers: policy is %q; it is lab or real", policy)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open papers: %w", err)
	}
	memory, err := release.NewMemory(root)
	if err != nil {
		return nil, fmt.Errorf("open papers: %w", err)
	}
	s := &Store{dir: dir, policy: policy, anchor: fmt.Sprintf("%x", sha256.Sum256(root)), memory: memory, plans: map[permit.Digest]task.Approved{}}
	b, err := os.ReadFile(filepath.Join(dir, keptFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open papers: %w", err)
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return nil, fmt.Errorf("open papers: %s: %w", keptFile, err)
	}
	if k.Anchor != s.anchor {
		return nil, fmt.Errorf("open papers: %s began with another list root than the one of this agent; enrol it anew in another directory", keptFile)
	}
	if s.memory, err = release.ReadMemory(k.Memory); err != nil {
		return nil, fmt.Errorf("open papers: %s: %w", keptFile, err)
	}
	if len(k.Bundle) > 0 {
		if r, _, err := release.Reopen(k.Bundle, s.memory); err == nil && r.List.Site().Policy == policy {
			s.current, s.bundle = r, k.Bundle
		}
	}
	return s, nil
}

// Take verifies a list release and makes it the current one. The refusal says why not; the one in use
// then stays (H-014, H-015), unless a newer root that came with it took its keys away.
func (s *Store) Take(bundle []byte, at time.Time) *list.Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, memory, err := release.Open(bundle, s.memory, at)
	if err != nil {
		reason := list.ListUntrusted
		if errors.Is(err, release.ErrExpired) {
			reason = list.ListExpired
		}
		// A newer root counts all the same: whom it no longer names is not believed again.
		if memory.RootVersion() > s.memory.RootVersion() {
			if err := s.save(memory, s.bundle); err != nil {
				return list.Refuse(list.JournalFailed, err.Error())
			}
			s.hold()
		}
		return list.Refuse(reason, err.Error())
	}
	if p := r.List.Site().Policy; p != s.policy {
		return list.Refuse(list.ListUntrusted, fmt.Sprintf("it is for %s policy, this agent is under %s policy", p, s.policy))
	}
	if err := s.save(memory, bundle); err != nil {
		return list.Refuse(list.JournalFailed, err.Error())
	}
	if s.current == nil || s.current.Digest != r.Digest {
		s.plans = map[permit.Digest]task.Approved{} // they were decided on another list
	}
	s.current, s.bundle = r, bundle
	return nil
}

// hold holds the release in use against a newer root. One under keys that it took away is used no longer:
// nothing is asked until a release comes that the new root bears.
func (s *Store) hold() {
	if s.current == nil {
		return
	}
	if _, _, err := release.Reopen(s.bundle, s.memory); err != nil {
		s.current, s.plans = nil, map[permit.Digest]task.Approved{}
	}
}

// save makes the memory durable before anything is done on its word.
func (s *Store) save(memory release.Memory, bundle []byte) error {
	text, err := memory.Encode()
	if err != nil {
		return err
	}
	b, err := json.Marshal(kept{s.anchor, text, bundle})
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(s.dir, keptFile), b); err != nil {
		return err
	}
	s.memory = memory
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
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Current returns the release in use, nil if there is none, and the newest number ever seen.
func (s *Store) Current() (*release.Release, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, uint64(s.memory.Seen[metadataSnapshot].Version)
}

// metadataSnapshot is the role whose version is the number of a release.
const metadataSnapshot = "snapshot"

// Carried reads a release that was carried in by hand: a bundle file, or a repository folder.
func Carried(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the carried list: %w", err)
	}
	if info.IsDir() {
		b, err := release.FromFolder(os.DirFS(path))
		if err != nil {
			return nil, fmt.Errorf("read the carried list: %w", err)
		}
		return b.Encode()
	}
	if info.Size() > release.MaxSize {
		return nil, fmt.Errorf("read the carried list: %s has %d octets; a release has at most %d", path, info.Size(), release.MaxSize)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the carried list: %w", err)
	}
	return b, nil
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

// Clearance verifies an approver's word about a device, for this agent and the site of the list in use.
func (s *Store) Clearance(document []byte, sig Signature, agent string) (permit.Clearance, permit.Digest, *list.Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(r list.Reason, detail string) (permit.Clearance, permit.Digest, *list.Refusal) {
		return permit.Clearance{}, permit.Digest{}, list.Refuse(r, detail)
	}
	if s.current == nil {
		return refuse(list.NoList, "")
	}
	site := s.current.List.Site()
	c, digest, err := permit.DecodeClearance(document)
	switch {
	case err != nil:
		return refuse(list.PlanNotApproved, err.Error())
	case signers(site, permit.DomainClearance, document, []Signature{sig}) != 1:
		return refuse(list.PlanNotApproved, "no approver of the site has signed the clearance")
	case c.Site != site.Name || c.Agent != agent:
		return refuse(list.PlanNotApproved, "the clearance is for agent "+c.Agent+" of site "+c.Site)
	}
	return c, digest, nil
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
