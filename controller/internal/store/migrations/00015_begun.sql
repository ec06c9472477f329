-- +goose Up
ALTER TABLE sending ADD COLUMN begun INTEGER NOT NULL DEFAULT 0; -- when the agent began it, by its own record; 0: none is here

-- +goose Down
ALTER TABLE sending DROP COLUMN begun;
