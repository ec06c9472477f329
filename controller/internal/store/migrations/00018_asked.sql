-- +goose Up
ALTER TABLE fleet ADD COLUMN inventory INTEGER NOT NULL DEFAULT 0; -- changes of devices' addresses and network cards
CREATE INDEX run_caller ON run (caller, closes); -- the budget of a standing approval, looked at as each question is fired
CREATE INDEX task_asked ON task (device, question, asked) WHERE asked > 0; -- the time before, when what was thought asked was not
-- what a database of before today knows as well
UPDATE agent SET stopped_in = incarnation WHERE stopped_at > 0 AND stopped_in = x'';
UPDATE sending SET begun = coalesce((SELECT max(c.at) FROM task t JOIN touch c ON c.device = t.device AND c.kind = 'started'
	JOIN record r ON r.agent = c.agent AND r.incarnation = c.incarnation AND r.seq = c.seq
	WHERE t.run = sending.run AND t.item = sending.item AND json_extract(CAST(r.raw AS TEXT), '$.permit') = sending.permit), 0)
	WHERE begun = 0 AND EXISTS (SELECT 1 FROM task t WHERE t.work_order = sending.work_order AND t.ordinal = sending.ordinal AND t.state = 'DISPATCHED');

-- +goose Down
ALTER TABLE fleet DROP COLUMN inventory;
DROP INDEX task_asked;
DROP INDEX run_caller;
