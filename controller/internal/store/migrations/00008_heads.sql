-- +goose Up
ALTER TABLE agent ADD COLUMN evidence_key TEXT NOT NULL DEFAULT ''; -- verifier of its signed heads, the first of its enrolment
ALTER TABLE agent ADD COLUMN head_refused TEXT NOT NULL DEFAULT ''; -- why no session is opened before it is enrolled anew
ALTER TABLE record ADD COLUMN tree BLOB NOT NULL DEFAULT x''; -- hashes of the subtrees that the record made whole; empty: of an earlier version

CREATE TABLE tree_head ( -- a signed note over the first records of a journal
	agent       TEXT NOT NULL REFERENCES agent (name),
	incarnation BLOB NOT NULL,
	size        INTEGER NOT NULL,
	note        BLOB NOT NULL,
	key         TEXT NOT NULL, -- verifier that it was checked with
	at          INTEGER NOT NULL, -- by the controller's clock
	PRIMARY KEY (agent, incarnation, size)
);
