// Package release makes and verifies releases of the safety list. A release is a TUF repository: root
// says whose keys count, a safety board denies, each manufacturer speaks for its own products alone, a
// site signs its own file, and a timestamp of at most a week says that this is the newest.
//
// Verification is go-tuf's, on bytes in memory: no file, no network, no clock of its own. What go-tuf
// does not say is said here: the strict shape of every file, what each role may say, the newest that
// was ever seen, and that nobody but its own signers lifts a denial.
package release

import (
	"errors"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

// Roles below the top-level targets. All others are manufacturers.
const (
	Board = "safety-board"
	Site  = "site"
)

const (
	// MaxOfflineDays is how long after the issue of its timestamp a release may be used at most,
	// whatever its metadata claims (DESIGN 6.18). A root may state fewer days.
	MaxOfflineDays = 7
	// SitePath is the one target of the site.
	SitePath = "site/site.yaml"
	// skew is how far ahead of ours the publisher's clock may be.
	skew = 5 * time.Minute
)

// ErrExpired says that a release, or a part of it, has ended.
var ErrExpired = errors.New("the release has ended")

// Release is an opened bundle: verified, parsed and compiled.
type Release struct {
	Number    uint64        // version of the snapshot
	Timestamp uint64        // version of the timestamp; it alone grows when a release is renewed
	Digest    permit.Digest // of what the targets say; a renewed timestamp does not change it
	Issued    time.Time     // of the timestamp
	Expires   time.Time
	List      *list.List
	Roles     []Role
	Findings  []string // what was left out or carried over, and why
}

// Role is one role of a release, for people to look at.
type Role struct {
	Name      string
	Version   int64
	Expires   time.Time
	Keys      []string // ids
	Threshold int
	Files     []string
}

// ExpiredAt reports whether the release may no longer be used.
func (r *Release) ExpiredAt(at time.Time) bool { return !at.Before(r.Expires) }

// IssuedAfter reports whether the release was issued after a moment, by more than clocks differ. A clock that says
// so was set back, and under it the release would not grow old.
func (r *Release) IssuedAfter(at time.Time) bool { return r.Issued.After(at.Add(skew)) }

// Open verifies a bundle against what was seen before, and compiles it. The memory that it returns is
// to be kept, also beside an error: a newer root counts even where the rest of the bundle does not.
func Open(b []byte, m Memory, at time.Time) (*Release, Memory, error) {
	bundle, err := Decode(b)
	if err != nil {
		return nil, m, err
	}
	return bundle.Open(m, at)
}

// Reopen verifies a bundle that was accepted before, as of its issue. Whether it has ended since is for
// the caller to hold against its clock.
func Reopen(b []byte, m Memory) (*Release, Memory, error) {
	bundle, err := Decode(b)
	if err != nil {
		return nil, m, err
	}
	ts, err := read[timestampShape]("timestamp", bundle.Metadata[timestampFile])
	if err != nil {
		return nil, m, fail(timestampFile, err)
	}
	return bundle.Open(m, ts.Signed.Issued)
}
