-- +goose Up
CREATE INDEX task_unsure ON task (device) WHERE state IN ('UNKNOWN', 'DISPATCHED');

-- +goose Down
DROP INDEX task_unsure;
