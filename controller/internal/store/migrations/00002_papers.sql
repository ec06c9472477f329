-- +goose Up
CREATE TABLE mds2 ( -- what a manufacturer has answered about a model (HN 1-2019)
	product TEXT PRIMARY KEY, -- maker and model, as names are compared
	form    TEXT NOT NULL,    -- JSON
	file    TEXT NOT NULL,
	at      INTEGER NOT NULL
);

CREATE TABLE advisory (
	id    TEXT PRIMARY KEY, -- the publisher's
	title TEXT NOT NULL,
	date  TEXT NOT NULL,
	file  TEXT NOT NULL,
	at    INTEGER NOT NULL
);

CREATE TABLE proposal ( -- a denial that an advisory suggests; it decides nothing
	id         TEXT PRIMARY KEY,
	advisory   TEXT NOT NULL REFERENCES advisory (id),
	vendor     TEXT NOT NULL,
	product    TEXT NOT NULL,
	versions   TEXT NOT NULL,
	statement  TEXT NOT NULL, -- a list file of one statement
	state      TEXT NOT NULL, -- PROPOSED, ACCEPTED or DISMISSED
	decided_by TEXT NOT NULL DEFAULT '',
	decided_at INTEGER NOT NULL DEFAULT 0,
	reason     TEXT NOT NULL DEFAULT ''
);
