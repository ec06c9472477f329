package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	list "primum/safetylists"
	"primum/safetylists/release"
)

type listSignCommand struct {
	Dir  string `arg:"" help:"Repository folder."`
	Role string `arg:"" help:"root, targets, safety-board, site, or the name of a manufacturer."`
	Key  string `required:"" help:"File: your own key."`
	passphrase
	Days          int      `default:"365" help:"Days until what is signed ends, where it is new."`
	Renew         bool     `help:"Sign a new version, although nothing but its end changes."`
	Former        bool     `help:"You had this role before, and agree to what its new keys sign. Without it your denials stay in force."`
	Next          []string `sep:"none" help:"File: public key that decides about your denials from now on, when your keys change. May be given again."`
	NextThreshold int      `default:"1" help:"How many of the next keys have to sign."`
}

// Run signs what lies in the folder now. Files that changed since are staged anew, and older signatures
// of the role count no longer.
func (c *listSignCommand) Run(e *env) error {
	var next *release.Authority
	if len(c.Next) > 0 {
		s, err := publicKeys("--next", c.Next, c.NextThreshold)
		if err != nil {
			return err
		}
		a := s.Authority()
		next = &a
	}
	if c.Role == "snapshot" || c.Role == "timestamp" {
		return input("%s is signed by primum list release or primum list timestamp", c.Role)
	}
	key, err := readListKey(e, c.Key, c.passphrase)
	if err != nil {
		return err
	}
	return change(c.Dir, func(b release.Bundle) error {
		fresh := false
		if c.Role != "root" {
			if fresh, err = b.Stage(c.Role, time.Now().AddDate(0, 0, c.Days), c.Renew, next); err != nil {
				return input("%v", err)
			}
			if err := e.contents(c.Role, b); err != nil {
				return err
			}
		}
		have, need, err := b.Sign(c.Role, key, c.Former)
		if err != nil {
			return input("%v; nothing was changed", err)
		}
		if fresh {
			e.say("This is a new version of %s; signatures of an older one do not count for it.", c.Role)
		}
		e.say("Signed as %s: %d of %d keys.", c.Role, have, need)
		return nil
	})
}

// contents shows what a role says before it is signed.
func (e *env) contents(role string, b release.Bundle) error {
	for _, path := range slices.Sorted(maps.Keys(b.Targets)) {
		switch {
		case role == "targets" && path == release.MakersPath, role == release.Site && path == release.SitePath:
			e.say("  %s, %d octets", path, len(b.Targets[path]))
		case role == release.Board && strings.HasPrefix(path, release.Board+"/"), strings.HasPrefix(path, "manufacturers/"+role+"/"):
			n, err := counts(path, b.Targets[path])
			if err != nil {
				return err
			}
			e.say("  %s: %d allow, %d deny, %d other statements", path, n[list.Allow], n[list.Deny], sum(n)-n[list.Allow]-n[list.Deny])
		}
	}
	return nil
}

func sum(n map[list.Type]int) (all int) {
	for _, v := range n {
		all += v
	}
	return all
}

type listReleaseCommand struct {
	Dir string `arg:"" help:"Repository folder."`
	Key string `required:"" help:"File: key of who makes releases."`
	passphrase
	TimestampKey            string `help:"File: key of the publisher job. Without it primum list timestamp comes next."`
	TimestampPassphraseFile string `help:"File: its passphrase; that of --passphrase-file by default."`
	Days                    int    `default:"90" help:"Days until the snapshot ends."`
	Out                     string `help:"File: the bundle that is made, with --timestamp-key."`
}

// Run makes snapshot and, where its key is given, timestamp. What an agent would refuse is not made.
func (c *listReleaseCommand) Run(e *env) error {
	key, err := readListKey(e, c.Key, c.passphrase)
	if err != nil {
		return err
	}
	return change(c.Dir, func(b release.Bundle) error {
		silent, err := b.Silent()
		if err != nil {
			return input("%v", err)
		}
		if len(silent) > 0 {
			return input("signed nothing yet: %s. Each of them comes first: primum list sign %s ROLE --key FILE; nothing was changed", strings.Join(silent, ", "), c.Dir)
		}
		fresh, err := b.StageSnapshot(time.Now().AddDate(0, 0, c.Days), false)
		if err != nil {
			return input("%v", err)
		}
		if !fresh && c.TimestampKey == "" {
			return input("nothing was signed since the last release; nothing was changed")
		}
		if _, _, err := b.Sign("snapshot", key, false); err != nil {
			return input("%v; nothing was changed", err)
		}
		if c.TimestampKey == "" {
			e.say("The snapshot is signed. To make the bundle: primum list timestamp %s --key FILE --out BUNDLE", c.Dir)
			return nil
		}
		t := listTimestampCommand{Dir: c.Dir, Key: c.TimestampKey, passphrase: c.passphrase, Days: release.MaxOfflineDays, Out: c.Out}
		if c.TimestampPassphraseFile != "" {
			t.PassphraseFile = c.TimestampPassphraseFile
		}
		_, err = t.stamp(e, b)
		return err
	})
}

type listTimestampCommand struct {
	Dir string `arg:"" help:"Repository folder."`
	Key string `required:"" help:"File: key of the publisher job."`
	passphrase
	Days    int    `default:"7" help:"Days until it ends, at most 7."`
	Out     string `help:"File: the bundle that is made."`
	Publish bool   `help:"Give the bundle to the controller at once."`
}

// Run renews the timestamp. It is made to be run every day by a job of its own.
func (c *listTimestampCommand) Run(e *env) error {
	var bundle []byte
	err := change(c.Dir, func(b release.Bundle) (err error) {
		bundle, err = c.stamp(e, b)
		return err
	})
	if err != nil || !c.Publish {
		return err
	}
	return e.publish(bundle)
}

func (c *listTimestampCommand) stamp(e *env, b release.Bundle) ([]byte, error) {
	if c.Days < 1 || c.Days > release.MaxOfflineDays {
		return nil, input("--days is %d; a timestamp is good for 1 to %d days", c.Days, release.MaxOfflineDays)
	}
	key, err := readListKey(e, c.Key, c.passphrase)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if err := b.StageTimestamp(now, now.AddDate(0, 0, c.Days)); err != nil {
		return nil, input("%v; nothing was changed", err)
	}
	if _, _, err := b.Sign("timestamp", key, false); err != nil {
		return nil, input("%v; nothing was changed", err)
	}
	bundle, err := b.Encode()
	if err != nil {
		return nil, input("%v; nothing was changed", err)
	}
	m, err := release.NewMemory(b.Metadata["1.root.json"])
	if err != nil {
		return nil, input("%v; nothing was changed", err)
	}
	r, _, err := b.Open(m, now)
	if err != nil {
		return nil, input("an agent would refuse this release, and nothing was changed: %v", err)
	}
	if err := e.verified(r); err != nil || c.Out == "" {
		return bundle, err
	}
	if err := os.WriteFile(c.Out, bundle, 0o644); err != nil {
		return nil, input("the bundle cannot be written: %v", err)
	}
	e.say("The bundle is in %s. To publish: primum list publish %s", c.Out, c.Out)
	return bundle, nil
}
