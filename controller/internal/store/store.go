package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The errors that callers branch on.
var (
	ErrNotFound = errors.New("there is none of that name")
	ErrExists   = errors.New("there is one of that name already")
	ErrFenced   = errors.New("another session of the agent is newer")
	ErrState    = errors.New("its state does not allow this")
	ErrGap      = errors.New("records are missing before these, or the journal is another one")
	ErrBudget   = errors.New("the questions that a standing approval leaves its caller a day are used up")
	ErrLost     = errors.New("records are missing here that the agent has trimmed")
	ErrRequest  = errors.New("the request_id was used before with another body")
)

// Store is the database of one controller. It is safe for concurrent use.
type Store struct {
	w, r *sql.DB
	lock *os.File
	kin  atomic.Pointer[Kin] // of the inventory as it was read last
}

// Open opens the database in a directory and brings its tables up to date. With exclusive it also
// takes the directory's lock, which a second controller is refused; short commands beside a serving
// controller do without.
func Open(ctx context.Context, dir string, exclusive bool) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	s := &Store{}
	if exclusive {
		lock, err := takeLock(filepath.Join(dir, "controller.lock"))
		if err != nil {
			return nil, err
		}
		s.lock = lock
	}
	err := s.open(ctx, filepath.Join(dir, "primum.db"))
	if err == nil && exclusive {
		err = s.begin(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another controller is serving from %s; end it, or give this one a directory of its own", filepath.Dir(path)), f.Close())
	}
	return f, nil
}

func (s *Store) open(ctx context.Context, path string) error {
	dsn := func(more string) string {
		q := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}}
		return "file:" + url.PathEscape(path) + "?" + q.Encode() + more
	}
	// the file is made before SQLite does, so that its mode is ours
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if s.w, err = sql.Open("sqlite", dsn("&_txlock=immediate")); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	s.w.SetMaxOpenConns(1)
	if s.r, err = sql.Open("sqlite", dsn("&_pragma=query_only(1)")); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	s.r.SetMaxOpenConns(4)
	tables, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.w, tables)
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the database up to date: %w", err)
	}
	return nil
}

// Close closes the database and gives the lock back.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.r, s.w} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Request is a client's own name for a call, so that a repeated call is carried out once.
type Request struct {
	Caller string
	ID     string
	Body   [32]byte // SHA-256 of method and body
	Result string   // what the first call returned, for the store of it
}

// tx runs one change. A change that belongs to a request is recorded with it.
func (s *Store) tx(ctx context.Context, what string, f func(*sql.Tx) error) error {
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := f(tx); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", what, err), ignoreDone(tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// change runs one statement and returns how many rows it changed.
func change(ctx context.Context, x execer, query string, args ...any) (int64, error) {
	res, err := x.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// must runs one statement that has to change exactly one row, and fails with otherwise if not.
func must(ctx context.Context, x execer, otherwise error, query string, args ...any) error {
	n, err := change(ctx, x, query, args...)
	if err == nil && n != 1 {
		err = otherwise
	}
	return err
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// all reads every row of a query.
func all[T any](ctx context.Context, db querier, scan func(func(...any) error) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// one reads the only row of a query, and fails with ErrNotFound if there is none.
func one[T any](ctx context.Context, db querier, scan func(func(...any) error) (T, error), query string, args ...any) (T, error) {
	rows, err := all(ctx, db, scan, query, args...)
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return rows[0], nil
}

// timeColumn reads and writes a time as microseconds; the zero time is 0.
type timeColumn struct{ t *time.Time }

// Scan implements sql.Scanner.
func (c timeColumn) Scan(v any) error {
	us, ok := v.(int64)
	if !ok {
		return fmt.Errorf("time column holds %T", v)
	}
	*c.t = time.Time{}
	if us != 0 {
		*c.t = time.UnixMicro(us).UTC()
	}
	return nil
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// jsonColumn reads and writes a value as JSON text.
type jsonColumn struct{ v any }

// Scan implements sql.Scanner.
func (c jsonColumn) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("JSON column holds %T", v)
	}
	return json.Unmarshal([]byte(text), c.v)
}

func text(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}
