-- +goose Up
-- Times are microseconds since 1970, UTC; 0 is never. JSON is text.
CREATE TABLE fleet (
	one          INTEGER PRIMARY KEY CHECK (one = 1),
	hold_version INTEGER NOT NULL
);
INSERT INTO fleet (one, hold_version) VALUES (1, 0);

CREATE TABLE device (
	tag     TEXT PRIMARY KEY,
	cells   TEXT NOT NULL, -- the row of the CMMS, column to cell
	changed INTEGER NOT NULL
);

CREATE TABLE answer ( -- the latest answer of a device to a kind of question
	tag   TEXT NOT NULL,
	kind  TEXT NOT NULL,
	run   TEXT NOT NULL,
	at    INTEGER NOT NULL,
	facts TEXT NOT NULL,
	PRIMARY KEY (tag, kind)
);

CREATE TABLE visit ( -- the latest time that a device may have received a question
	tag      TEXT NOT NULL,
	question TEXT NOT NULL,
	kind     TEXT NOT NULL,
	at       INTEGER NOT NULL,
	state    TEXT NOT NULL,
	run      TEXT NOT NULL,
	item     INTEGER NOT NULL,
	PRIMARY KEY (tag, question)
);

CREATE TABLE agent (
	name            TEXT PRIMARY KEY,
	sealing_key     BLOB NOT NULL,
	enrolled        INTEGER NOT NULL,
	session_epoch   INTEGER NOT NULL DEFAULT 0,
	confirmed_epoch INTEGER NOT NULL DEFAULT 0,
	incarnation     BLOB NOT NULL DEFAULT x'',
	journal_lsn     INTEGER NOT NULL DEFAULT 0,
	record_hwm      INTEGER NOT NULL DEFAULT 0,
	record_hash     BLOB NOT NULL DEFAULT x'',
	hold_acked      INTEGER NOT NULL DEFAULT 0,
	list_digest     BLOB NOT NULL DEFAULT x'',
	list_refused    TEXT NOT NULL DEFAULT '',
	version         TEXT NOT NULL DEFAULT '',
	plugins         TEXT NOT NULL DEFAULT '[]',
	last_seen       INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE retired_incarnation (
	agent       TEXT NOT NULL REFERENCES agent (name),
	incarnation BLOB NOT NULL,
	at          INTEGER NOT NULL,
	PRIMARY KEY (agent, incarnation)
);

CREATE TABLE certificate (
	serial  TEXT PRIMARY KEY,
	agent   TEXT NOT NULL REFERENCES agent (name),
	until   INTEGER NOT NULL,
	revoked INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX certificate_agent ON certificate (agent);

CREATE TABLE enrolment_token (
	hash    BLOB PRIMARY KEY,
	agent   TEXT NOT NULL,
	expires INTEGER NOT NULL,
	spent   INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE secret (
	agent   TEXT NOT NULL REFERENCES agent (name),
	device  TEXT NOT NULL,
	sealed  BLOB NOT NULL,
	version INTEGER NOT NULL,
	acked   INTEGER NOT NULL DEFAULT 0,
	problem TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (agent, device)
);

CREATE TABLE list_release (
	number INTEGER PRIMARY KEY,
	digest BLOB NOT NULL,
	bundle BLOB NOT NULL,
	at     INTEGER NOT NULL
);

CREATE TABLE approved_time (
	name       TEXT PRIMARY KEY,
	recurrence TEXT NOT NULL,
	zone       TEXT NOT NULL,
	duration   INTEGER NOT NULL,
	devices    TEXT NOT NULL,
	agent      TEXT NOT NULL,
	made       INTEGER NOT NULL
);

CREATE TABLE plan (
	name     TEXT PRIMARY KEY,
	caller   TEXT NOT NULL, -- windows/NAME, or the tool that called
	agent    TEXT NOT NULL,
	opens    INTEGER NOT NULL,
	closes   INTEGER NOT NULL,
	digest   BLOB NOT NULL UNIQUE,
	list     BLOB NOT NULL,
	document BLOB NOT NULL,
	state    TEXT NOT NULL,
	run      TEXT NOT NULL DEFAULT '',
	standing TEXT NOT NULL DEFAULT '' -- the standing approval that covers it
);
CREATE INDEX plan_due ON plan (state, opens);

CREATE TABLE plan_signature (
	plan  TEXT NOT NULL REFERENCES plan (name),
	by_who TEXT NOT NULL,
	sig   BLOB NOT NULL,
	at    INTEGER NOT NULL,
	PRIMARY KEY (plan, by_who)
);

CREATE TABLE standing (
	name       TEXT PRIMARY KEY,
	caller     TEXT NOT NULL,
	document   BLOB NOT NULL,
	from_at    INTEGER NOT NULL,
	until_at   INTEGER NOT NULL,
	per_day    INTEGER NOT NULL,
	signatures TEXT NOT NULL
);
CREATE INDEX standing_caller ON standing (caller);

CREATE TABLE run (
	name    TEXT PRIMARY KEY,
	plan    TEXT NOT NULL REFERENCES plan (name),
	caller  TEXT NOT NULL,
	agent   TEXT NOT NULL,
	opens   INTEGER NOT NULL,
	closes  INTEGER NOT NULL,
	state   TEXT NOT NULL,
	started INTEGER NOT NULL DEFAULT 0,
	ended   INTEGER NOT NULL DEFAULT 0,
	planned INTEGER NOT NULL,
	refused INTEGER NOT NULL,
	reason  TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX run_plan ON run (plan);
CREATE UNIQUE INDEX run_occurrence ON run (caller, opens) WHERE caller LIKE 'windows/%';
CREATE INDEX run_open ON run (state, agent);

CREATE TABLE work_order (
	id      TEXT PRIMARY KEY,
	run     TEXT NOT NULL REFERENCES run (name),
	agent   TEXT NOT NULL,
	epoch   INTEGER NOT NULL,
	state   TEXT NOT NULL, -- DISPATCHED, CLOSED
	at      INTEGER NOT NULL,
	receipt INTEGER NOT NULL DEFAULT 0 -- journal_lsn of the receipt
);
CREATE INDEX work_order_open ON work_order (agent) WHERE state = 'DISPATCHED';

CREATE TABLE task (
	run        TEXT NOT NULL REFERENCES run (name),
	item       INTEGER NOT NULL,
	device     TEXT NOT NULL,
	kind       TEXT NOT NULL,
	question   TEXT NOT NULL,
	state      TEXT NOT NULL,
	reason     TEXT NOT NULL DEFAULT '',
	detail     TEXT NOT NULL DEFAULT '',
	work_order TEXT NOT NULL DEFAULT '',
	ordinal    INTEGER NOT NULL DEFAULT 0,
	sends      INTEGER NOT NULL DEFAULT 0,
	dispatched INTEGER NOT NULL DEFAULT 0,
	finished   INTEGER NOT NULL DEFAULT 0,
	asked      INTEGER NOT NULL DEFAULT 0,
	took_us    INTEGER NOT NULL DEFAULT 0,
	messages   INTEGER NOT NULL DEFAULT 0,
	octets     INTEGER NOT NULL DEFAULT 0,
	facts      TEXT NOT NULL DEFAULT '[]',
	PRIMARY KEY (run, item)
);
CREATE INDEX task_order ON task (work_order);

CREATE TABLE sending ( -- which permit carried which task, also those of earlier sessions
	work_order TEXT NOT NULL REFERENCES work_order (id),
	ordinal    INTEGER NOT NULL,
	run        TEXT NOT NULL,
	item       INTEGER NOT NULL,
	permit     TEXT NOT NULL UNIQUE,
	PRIMARY KEY (work_order, ordinal)
);

CREATE TABLE record (
	agent       TEXT NOT NULL REFERENCES agent (name),
	incarnation BLOB NOT NULL,
	seq         INTEGER NOT NULL,
	kind        TEXT NOT NULL,
	raw         BLOB NOT NULL,
	PRIMARY KEY (agent, incarnation, seq)
) WITHOUT ROWID;

CREATE TABLE record_quarantine (
	agent       TEXT NOT NULL,
	incarnation BLOB NOT NULL,
	seq         INTEGER NOT NULL,
	raw         BLOB NOT NULL,
	reason      TEXT NOT NULL,
	at          INTEGER NOT NULL,
	PRIMARY KEY (agent, incarnation, seq)
);

CREATE TABLE hold (
	id          INTEGER PRIMARY KEY,
	scope       TEXT NOT NULL,
	value       TEXT NOT NULL,
	reason      TEXT NOT NULL,
	placed_by   TEXT NOT NULL,
	placed_at   INTEGER NOT NULL,
	lifted_by   TEXT NOT NULL DEFAULT '',
	lifted_at   INTEGER NOT NULL DEFAULT 0,
	lift_reason TEXT NOT NULL DEFAULT '',
	version     INTEGER NOT NULL UNIQUE
);

CREATE TABLE request (
	caller TEXT NOT NULL,
	id     TEXT NOT NULL,
	body   BLOB NOT NULL, -- SHA-256 of method and body
	result TEXT NOT NULL,
	at     INTEGER NOT NULL,
	PRIMARY KEY (caller, id)
);

CREATE TABLE token (
	hash BLOB PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	role TEXT NOT NULL,
	made INTEGER NOT NULL
);

CREATE TABLE audit (
	id       INTEGER PRIMARY KEY,
	at       INTEGER NOT NULL,
	actor    TEXT NOT NULL,
	verb     TEXT NOT NULL,
	resource TEXT NOT NULL,
	detail   TEXT NOT NULL,
	prev     BLOB NOT NULL,
	hash     BLOB NOT NULL
);
