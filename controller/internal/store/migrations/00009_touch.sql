-- +goose Up
CREATE TABLE touch ( -- which records speak of which device, by the agent's clock
	device      TEXT NOT NULL,
	at          INTEGER NOT NULL,
	agent       TEXT NOT NULL,
	incarnation BLOB NOT NULL,
	seq         INTEGER NOT NULL,
	kind        TEXT NOT NULL,
	PRIMARY KEY (device, at, agent, incarnation, seq)
) WITHOUT ROWID;
INSERT INTO touch (device, at, agent, incarnation, seq, kind)
	SELECT json_extract(CAST(raw AS TEXT), '$.device'), CAST(round(unixepoch(json_extract(CAST(raw AS TEXT), '$.at'), 'subsec') * 1000000) AS INTEGER), agent, incarnation, seq, kind
	FROM record WHERE kind IN ('started', 'sent', 'got', 'outcome', 'cleared') AND json_valid(CAST(raw AS TEXT)) AND json_extract(CAST(raw AS TEXT), '$.device') IS NOT NULL;
