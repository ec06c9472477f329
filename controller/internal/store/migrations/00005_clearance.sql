-- +goose Up
CREATE TABLE clearance ( -- an approver's word that a device in distress has been looked at
	permit    TEXT PRIMARY KEY, -- of the question that ended in distress
	device    TEXT NOT NULL,
	agent     TEXT NOT NULL REFERENCES agent (name),
	document  BLOB NOT NULL,
	digest    BLOB NOT NULL,
	signed_by TEXT NOT NULL,
	signature BLOB NOT NULL,
	at        INTEGER NOT NULL,
	taken     INTEGER NOT NULL DEFAULT 0, -- when it stood in the agent's journal
	problem   TEXT NOT NULL DEFAULT ''    -- why the agent refused it
);
