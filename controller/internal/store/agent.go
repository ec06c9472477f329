package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Agent is one site agent and the state of its session and its journal.
type Agent struct {
	Name        string
	SealingKey  []byte
	Epoch       uint64 // of the newest session
	Confirmed   uint64 // newest epoch that stands in the agent's journal
	Incarnation []byte
	JournalLSN  uint64
	RecordHWM   uint64
	RecordHash  []byte // of the newest record stored; empty at the beginning
	HoldAcked   uint64
	ListDigest  []byte
	ListRefused string
	Version     string
	Plugins     []string
	HeadRefused string // why no session is opened before it is enrolled anew
	Sandbox     string // how well its machine confines plugins: FULL, FALLBACK or NONE
	LastSeen    time.Time
	SiteStop    SiteStop
	StoppedIn   []byte // journal that knows of SiteStop; empty: not told; of no 16 octets: none
}

// StopLost reports whether the site has stopped an agent, and the journal that it has now may know nothing of it.
func (a Agent) StopLost() bool {
	return !a.SiteStop.At.IsZero() && len(a.StoppedIn) > 0 && !bytes.Equal(a.StoppedIn, a.Incarnation)
}

// SiteStop is what a person at the site has said to an agent. The zero value: nobody has stopped it.
type SiteStop struct {
	At  time.Time
	By  string
	Why string
}

const agentColumns = `name, sealing_key, session_epoch, confirmed_epoch, incarnation, journal_lsn, record_hwm, record_hash,
	hold_acked, list_digest, list_refused, version, plugins, sandbox, head_refused, last_seen, stopped_at, stopped_by, stopped_why, stopped_in`

func scanAgent(scan func(...any) error) (a Agent, err error) {
	err = scan(&a.Name, &a.SealingKey, &a.Epoch, &a.Confirmed, &a.Incarnation, &a.JournalLSN, &a.RecordHWM, &a.RecordHash,
		&a.HoldAcked, &a.ListDigest, &a.ListRefused, &a.Version, jsonColumn{&a.Plugins}, &a.Sandbox, &a.HeadRefused, timeColumn{&a.LastSeen}, timeColumn{&a.SiteStop.At}, &a.SiteStop.By, &a.SiteStop.Why, &a.StoppedIn)
	return a, err
}

// Agents returns agents in order of their names, after a name; limit 0 is all.
func (s *Store) Agents(ctx context.Context, after string, limit int) ([]Agent, error) {
	if limit == 0 {
		limit = -1
	}
	out, err := all(ctx, s.r, scanAgent, `SELECT `+agentColumns+` FROM agent WHERE name > ? ORDER BY name LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list agents: %w", err)
	}
	return out, nil
}

// Agent returns one agent. It fails with ErrNotFound.
func (s *Store) Agent(ctx context.Context, name string) (Agent, error) {
	a, err := one(ctx, s.r, scanAgent, `SELECT `+agentColumns+` FROM agent WHERE name = ?`, name)
	if err != nil {
		return a, fmt.Errorf("look up agent %s: %w", name, err)
	}
	return a, nil
}

// Certificate is one that was given to an agent.
type Certificate struct {
	Serial string
	Agent  string
	Until  time.Time
}

// Enrol writes the agent with its first certificate; certificates of an earlier enrolment are
// revoked, for whoever holds them is no longer this agent.
func (s *Store) Enrol(ctx context.Context, c Certificate, sealingKey []byte, at time.Time) error {
	return s.tx(ctx, "enrol agent", func(tx *sql.Tx) error {
		if _, err := change(ctx, tx, `INSERT INTO agent (name, sealing_key, enrolled) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET sealing_key = excluded.sealing_key, evidence_key = '', head_refused = '', stopped_at = 0, stopped_by = '', stopped_why = '', stopped_in = x'', enrolled = max(excluded.enrolled, agent.enrolled + 1)`,
			c.Agent, sealingKey, micros(at)); err != nil {
			return err
		}
		if _, err := change(ctx, tx, `UPDATE certificate SET revoked = ? WHERE agent = ? AND revoked = 0`, micros(at), c.Agent); err != nil {
			return err
		}
		// a credential sealed to an earlier key cannot be opened any more; its number stays, for an agent
		// never takes a smaller one
		if _, err := change(ctx, tx, `UPDATE credential SET sealed = x'', acked = version, problem = '' WHERE agent = ?`, c.Agent); err != nil {
			return err
		}
		if err := addCertificate(ctx, tx, c); err != nil {
			return err
		}
		return Audit{At: at, Actor: "agents/" + c.Agent, Verb: "enrol", Resource: "agents/" + c.Agent, Detail: "certificate " + c.Serial}.add(ctx, tx)
	})
}

// AddCertificate writes a certificate that was renewed with another one of the same agent. It fails with
// ErrNotFound when that one is not in force any more, as when the agent was enrolled anew in the meantime.
func (s *Store) AddCertificate(ctx context.Context, c Certificate, with string, at time.Time) error {
	return s.tx(ctx, "add certificate", func(tx *sql.Tx) error {
		if _, err := certificateGood(ctx, tx, with, c.Agent); err != nil {
			return err
		}
		if _, err := change(ctx, tx, `DELETE FROM certificate WHERE until < ?`, micros(at)); err != nil {
			return err
		}
		return addCertificate(ctx, tx, c)
	})
}

func addCertificate(ctx context.Context, tx *sql.Tx, c Certificate) error {
	_, err := change(ctx, tx, `INSERT INTO certificate (serial, agent, until) VALUES (?, ?, ?)`, c.Serial, c.Agent, micros(c.Until))
	return err
}

// CertificateGood returns the enrolment that a certificate belongs to. It fails with ErrNotFound unless the
// certificate was given to the agent and not revoked.
func (s *Store) CertificateGood(ctx context.Context, serial, agent string) (enrolment uint64, err error) {
	if enrolment, err = certificateGood(ctx, s.r, serial, agent); err != nil {
		return 0, fmt.Errorf("look up certificate: %w", err)
	}
	return enrolment, nil
}

func certificateGood(ctx context.Context, q querier, serial, agent string) (enrolment uint64, err error) {
	return one(ctx, q, scanNumber, `SELECT a.enrolled FROM certificate c JOIN agent a ON a.name = c.agent
		WHERE c.serial = ? AND c.agent = ? AND c.revoked = 0`, serial, agent)
}

// Enrolled fails with ErrNotFound unless the enrolment is the newest of the agent, and a certificate of it is
// in force at a moment.
func (s *Store) Enrolled(ctx context.Context, agent string, enrolment uint64, at time.Time) error {
	_, err := one(ctx, s.r, scanText, `SELECT name FROM agent WHERE name = ? AND enrolled = ?
		AND EXISTS (SELECT 1 FROM certificate WHERE agent = agent.name AND revoked = 0 AND until > ?)`, agent, enrolment, micros(at))
	if err != nil {
		return fmt.Errorf("look up enrolment: %w", err)
	}
	return nil
}

func scanText(scan func(...any) error) (t string, err error) {
	err = scan(&t)
	return t, err
}

// AddEnrolmentToken writes the hash of a one-time token.
func (s *Store) AddEnrolmentToken(ctx context.Context, hash []byte, agent string, expires time.Time, a Audit) error {
	return s.tx(ctx, "add enrolment token", func(tx *sql.Tx) error {
		if _, err := change(ctx, tx, `INSERT INTO enrolment_token (hash, agent, expires) VALUES (?, ?, ?)`, hash, agent, micros(expires)); err != nil {
			return err
		}
		return a.add(ctx, tx)
	})
}

// SpendEnrolmentToken spends a token and returns the agent that it is for. It fails with ErrNotFound
// for one that is unknown, spent or too old; one that is too old is spent all the same.
func (s *Store) SpendEnrolmentToken(ctx context.Context, hash []byte, at time.Time) (agent string, err error) {
	var expires time.Time
	err = s.tx(ctx, "spend enrolment token", func(tx *sql.Tx) error {
		var err error
		agent, err = one(ctx, tx, func(scan func(...any) error) (t string, err error) {
			err = scan(&t, timeColumn{&expires})
			return t, err
		}, `SELECT agent, expires FROM enrolment_token WHERE hash = ? AND spent = 0`, hash)
		if err != nil {
			return err
		}
		_, err = change(ctx, tx, `UPDATE enrolment_token SET spent = ? WHERE hash = ?`, micros(at), hash)
		return err
	})
	if err == nil && !at.Before(expires) {
		return "", fmt.Errorf("spend enrolment token: it is too old: %w", ErrNotFound)
	}
	return agent, err
}

// Fate is what becomes of a task that was dispatched in an earlier session.
type Fate int

// The fates. The zero value waits for records of the journal.
const (
	Wait Fate = iota
	Again
	Lost
)

// Dispatched is a task that was sent and has no outcome.
type Dispatched struct {
	Run     string
	Item    int
	Order   string
	Ordinal uint32
}

// Opening is how a session begins.
type Opening struct {
	Agent       string
	Incarnation []byte
	LastEpoch   uint64 // newest epoch that the journal knows
	JournalLSN  uint64
	First       uint64 // oldest record that the journal still has
	Version     string
	Plugins     []string
	Sandbox     string
	ListDigest  []byte
	SiteStop    SiteStop // By is not told
	At          time.Time
	// Judge looks at what is stored and decides: whether the journal is refused, and what becomes of
	// each task without an outcome. It is called inside the transaction.
	Judge func(a Agent, retired bool, tasks []Dispatched) (reset bool, fates []Fate, why string)
}

// Opened is the session.
type Opened struct {
	Agent       Agent // as it now stands
	Reset       bool
	Another     bool // the journal is not the one of the session before
	HoldVersion uint64
}

// OpenSession begins a session: in one transaction the epoch grows, the journal is judged, and every
// open task of earlier sessions gets its fate. It fails with ErrLost, and changes nothing, when the journal has trimmed
// what is not stored here.
func (s *Store) OpenSession(ctx context.Context, o Opening) (Opened, error) {
	var out Opened
	err := s.tx(ctx, "open session", func(tx *sql.Tx) error {
		a, err := one(ctx, tx, scanAgent, `SELECT `+agentColumns+` FROM agent WHERE name = ?`, o.Agent)
		if err != nil {
			return err
		}
		gone, err := all(ctx, tx, scanText, `SELECT agent FROM retired_incarnation WHERE agent = ? AND incarnation = ?`, o.Agent, o.Incarnation)
		if err != nil {
			return err
		}
		tasks, err := dispatchedTasks(ctx, tx, o.Agent)
		if err != nil {
			return err
		}
		reset, fates, why := o.Judge(a, len(gone) > 0, tasks)
		out.Reset = reset
		known := bytes.Equal(a.Incarnation, o.Incarnation)
		out.Another = reset || !known
		stored := a.RecordHWM
		if !known {
			stored = 0
		}
		if !reset && o.First > stored+1 {
			return fmt.Errorf("%w: those from %d to %d", ErrLost, stored+1, o.First-1)
		}
		if err := applyFates(ctx, tx, tasks, fates, why, o.At); err != nil {
			return err
		}
		if len(a.Incarnation) > 0 && (reset && known || !reset && !known) {
			if err := retire(ctx, tx, o.Agent, a.Incarnation, o.At); err != nil {
				return err
			}
		}
		a.Epoch = max(a.Epoch, o.LastEpoch) + 1
		a.Version, a.Plugins, a.Sandbox, a.ListDigest, a.LastSeen = o.Version, o.Plugins, o.Sandbox, o.ListDigest, o.At
		switch {
		case reset && known:
			a.Incarnation, a.JournalLSN, a.RecordHWM, a.RecordHash = []byte{}, 0, 0, []byte{}
		case !reset && !known:
			a.Incarnation, a.JournalLSN, a.RecordHWM, a.RecordHash = o.Incarnation, 0, 0, []byte{}
		}
		if out.HoldVersion, err = holdVersion(ctx, tx); err != nil {
			return err
		}
		if reset || !known {
			a.HoldAcked = 0 // a journal that is not this one does not know what was acknowledged
		}
		switch {
		case o.SiteStop.At.IsZero() && !a.SiteStop.At.IsZero():
			// Only the site's word ends a stop, and its record comes before any work. A journal that brings none is older than the stop, or another
			// one, as after a restore of its machine (H-035).
			if known && !reset || len(a.StoppedIn) == 0 {
				a.StoppedIn = []byte("none")
			}
		case !o.SiteStop.At.Equal(a.SiteStop.At): // what the agent says of itself counts; by whose word, its record tells
			a.SiteStop = o.SiteStop
		}
		if !o.SiteStop.At.IsZero() {
			a.StoppedIn = o.Incarnation
		}
		out.Agent = a
		if err := saveSession(ctx, tx, a); err != nil {
			return err
		}
		return settle(ctx, tx, o.At)
	})
	return out, err
}

func retire(ctx context.Context, tx *sql.Tx, agent string, incarnation []byte, at time.Time) error {
	_, err := change(ctx, tx, `INSERT INTO retired_incarnation (agent, incarnation, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
		agent, incarnation, micros(at))
	return err
}

func saveSession(ctx context.Context, tx *sql.Tx, a Agent) error {
	plugins, err := text(a.Plugins)
	if err != nil {
		return err
	}
	return must(ctx, tx, ErrNotFound, `UPDATE agent SET session_epoch = ?, incarnation = ?, journal_lsn = ?, record_hwm = ?,
		record_hash = ?, hold_acked = ?, version = ?, plugins = ?, sandbox = ?, list_digest = ?, list_refused = '', last_seen = ?, stopped_at = ?, stopped_by = ?, stopped_why = ?, stopped_in = ? WHERE name = ?`,
		a.Epoch, blob(a.Incarnation), a.JournalLSN, a.RecordHWM, blob(a.RecordHash), a.HoldAcked, a.Version, plugins, a.Sandbox, blob(a.ListDigest), micros(a.LastSeen), micros(a.SiteStop.At), a.SiteStop.By, a.SiteStop.Why, blob(a.StoppedIn), a.Name)
}

// blob makes no octets an empty blob: the driver writes nil as NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func dispatchedTasks(ctx context.Context, tx *sql.Tx, agent string) ([]Dispatched, error) {
	return all(ctx, tx, func(scan func(...any) error) (d Dispatched, err error) {
		err = scan(&d.Run, &d.Item, &d.Order, &d.Ordinal)
		return d, err
	}, `SELECT t.run, t.item, t.work_order, t.ordinal FROM task t JOIN run r ON r.name = t.run
		WHERE t.state = 'DISPATCHED' AND r.agent = ? ORDER BY t.run, t.item`, agent)
}

func applyFates(ctx context.Context, tx *sql.Tx, tasks []Dispatched, fates []Fate, why string, at time.Time) error {
	for i, t := range tasks {
		var err error
		switch {
		case i >= len(fates) || fates[i] == Lost:
			err = loseTask(ctx, tx, t.Run, t.Item, why, at)
		case fates[i] == Again:
			err = requeue(ctx, tx, t.Run, t.Item, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mayUse is for how long an order may be used after it went out: ten minutes of a permit, and the clocks' difference.
const mayUse = 11 * time.Minute

// loseTask ends a task of which nobody knows whether a byte was sent. The device counts as visited: when the record says that it was
// begun, else when that may have been at the latest.
func loseTask(ctx context.Context, tx *sql.Tx, run string, item int, why string, at time.Time) error {
	if _, err := change(ctx, tx, `UPDATE task SET state = 'UNKNOWN', detail = ?, finished = ? WHERE run = ? AND item = ?`,
		why, micros(at), run, item); err != nil {
		return err
	}
	_, err := change(ctx, tx, `INSERT INTO visit (tag, question, kind, at, state, run, item)
		SELECT t.device, t.question, t.kind, max(t.dispatched, coalesce(nullif(s.begun, 0), min(?, r.closes, t.dispatched + ?))), 'UNKNOWN', t.run, t.item
		FROM task t JOIN run r ON r.name = t.run LEFT JOIN sending s ON s.work_order = t.work_order AND s.ordinal = t.ordinal WHERE t.run = ? AND t.item = ?
		ON CONFLICT (tag, question) DO UPDATE SET at = excluded.at, state = excluded.state, run = excluded.run, item = excluded.item
		WHERE excluded.at >= visit.at`, micros(at), mayUse.Microseconds(), run, item)
	return err
}

// PutAside counts the journals of an agent that were put aside since a moment, and since it was enrolled last.
func (s *Store) PutAside(ctx context.Context, agent string, since time.Time) (int, error) {
	n, err := one(ctx, s.r, scanNumber, `SELECT count(*) FROM retired_incarnation i JOIN agent a ON a.name = i.agent WHERE i.agent = ? AND i.at > max(?, a.enrolled)`, agent, micros(since))
	if err != nil {
		return 0, fmt.Errorf("count journals put aside: %w", err)
	}
	return int(n), nil
}

// ConfirmEpoch commits that the epoch stands in the agent's journal.
func (s *Store) ConfirmEpoch(ctx context.Context, agent string, epoch, lsn uint64, at time.Time) error {
	return s.tx(ctx, "confirm epoch", func(tx *sql.Tx) error {
		return must(ctx, tx, ErrFenced, `UPDATE agent SET confirmed_epoch = ?, journal_lsn = max(journal_lsn, ?), last_seen = ?
			WHERE name = ? AND session_epoch = ?`, epoch, lsn, micros(at), agent, epoch)
	})
}

// Beat commits how far the agent's journal is on disk, and returns the newest hold version.
func (s *Store) Beat(ctx context.Context, agent string, epoch, lsn uint64, at time.Time) (durable, hold uint64, err error) {
	err = s.tx(ctx, "store beat", func(tx *sql.Tx) error {
		if err := must(ctx, tx, ErrFenced, `UPDATE agent SET journal_lsn = max(journal_lsn, ?), last_seen = ?
			WHERE name = ? AND session_epoch = ?`, lsn, micros(at), agent, epoch); err != nil {
			return err
		}
		var err error
		if durable, err = one(ctx, tx, scanNumber, `SELECT journal_lsn FROM agent WHERE name = ?`, agent); err != nil {
			return err
		}
		hold, err = holdVersion(ctx, tx)
		return err
	})
	return durable, hold, err
}

func scanNumber(scan func(...any) error) (n uint64, err error) {
	err = scan(&n)
	return n, err
}

// SetHoldAcked writes which hold version is in force on the agent.
func (s *Store) SetHoldAcked(ctx context.Context, agent string, epoch, version uint64) error {
	return s.tx(ctx, "store hold ack", func(tx *sql.Tx) error {
		return must(ctx, tx, ErrFenced, `UPDATE agent SET hold_acked = max(hold_acked, ?) WHERE name = ? AND session_epoch = ?`, version, agent, epoch)
	})
}

// SetListAcked writes which list release the agent uses, or why it refused one.
func (s *Store) SetListAcked(ctx context.Context, agent string, epoch uint64, digest []byte, refused string) error {
	return s.tx(ctx, "store list ack", func(tx *sql.Tx) error {
		if refused != "" {
			return must(ctx, tx, ErrFenced, `UPDATE agent SET list_refused = ? WHERE name = ? AND session_epoch = ?`, refused, agent, epoch)
		}
		return must(ctx, tx, ErrFenced, `UPDATE agent SET list_refused = '', list_digest = ? WHERE name = ? AND session_epoch = ?`, blob(digest), agent, epoch)
	})
}
