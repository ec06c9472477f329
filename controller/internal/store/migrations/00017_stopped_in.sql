-- +goose Up
ALTER TABLE agent ADD COLUMN stopped_in BLOB NOT NULL DEFAULT x''; -- journal that knows of the stop; empty: not told

-- +goose Down
ALTER TABLE agent DROP COLUMN stopped_in;
