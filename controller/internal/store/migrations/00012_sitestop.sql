-- +goose Up
ALTER TABLE agent ADD COLUMN stopped_at INTEGER NOT NULL DEFAULT 0; -- microseconds; 0: nobody at the site has stopped it
ALTER TABLE agent ADD COLUMN stopped_by TEXT NOT NULL DEFAULT '';
ALTER TABLE agent ADD COLUMN stopped_why TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE agent DROP COLUMN stopped_why;
ALTER TABLE agent DROP COLUMN stopped_by;
ALTER TABLE agent DROP COLUMN stopped_at;
