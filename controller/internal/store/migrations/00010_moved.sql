-- +goose Up
CREATE TABLE moved ( -- a device that an agent found to be no longer where the inventory has it
	tag    TEXT PRIMARY KEY,
	ip     TEXT NOT NULL, -- the inventory's at that time: with another one, nothing is known
	seen   TEXT NOT NULL, -- address of its own network card, where it was seen
	detail TEXT NOT NULL,
	run    TEXT NOT NULL,
	at     INTEGER NOT NULL
);
