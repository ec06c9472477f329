-- +goose Up
CREATE TABLE distress_case ( -- a distress that was weighed for the model's sake, once
	permit TEXT PRIMARY KEY, -- of the question that ended in it
	device TEXT NOT NULL,
	models TEXT NOT NULL, -- "maker/model" of each source, as the plan had them
	at     INTEGER NOT NULL
);
CREATE INDEX task_distress ON task (state) WHERE state = 'DISTRESS';
