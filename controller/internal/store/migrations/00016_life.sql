-- +goose Up
CREATE TABLE hold_life ( -- versions of holds that no life of this database has given: those above the first column, below the second
	above INTEGER PRIMARY KEY,
	below INTEGER NOT NULL
);

-- +goose Down
DROP TABLE hold_life;
