-- +goose Up
CREATE INDEX task_out ON task (device) WHERE state = 'DISPATCHED';

-- +goose Down
DROP INDEX task_out;
