-- +goose Up
ALTER TABLE agent ADD COLUMN sandbox TEXT NOT NULL DEFAULT ''; -- how well its machine confines plugins: FULL, FALLBACK or NONE
