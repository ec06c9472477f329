-- +goose Up
CREATE INDEX task_ill ON task (device) WHERE state IN ('DISTRESS', 'INCIDENT');

-- +goose Down
DROP INDEX task_ill;
