-- +goose Up
-- A device may have a community and a user of SNMPv3.
CREATE TABLE credential (
	agent   TEXT NOT NULL REFERENCES agent (name),
	device  TEXT NOT NULL,
	kind    TEXT NOT NULL CHECK (kind IN ('community', 'usm')),
	sealed  BLOB NOT NULL,
	version INTEGER NOT NULL,
	acked   INTEGER NOT NULL DEFAULT 0,
	problem TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (agent, device, kind)
);
INSERT INTO credential SELECT agent, device, 'community', sealed, version, acked, problem FROM secret;
DROP TABLE secret;

-- +goose Down
CREATE TABLE secret (
	agent   TEXT NOT NULL REFERENCES agent (name),
	device  TEXT NOT NULL,
	sealed  BLOB NOT NULL,
	version INTEGER NOT NULL,
	acked   INTEGER NOT NULL DEFAULT 0,
	problem TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (agent, device)
);
INSERT INTO secret SELECT agent, device, sealed, version, acked, problem FROM credential WHERE kind = 'community';
DROP TABLE credential;
