-- +goose Up
CREATE TABLE wave_visit ( -- which permit carried a question of which wave: of a model, its version, and its allowance
	permit TEXT PRIMARY KEY,
	wave   TEXT NOT NULL,
	device TEXT NOT NULL
);
CREATE INDEX wave_visit_wave ON wave_visit (wave);
