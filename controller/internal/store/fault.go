package store

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Fault is, in words for a person, what is the matter with the database that only a person can mend; empty when it is
// something else. Nothing was changed then: every change is one transaction.
func Fault(err error) string {
	var fault *sqlite.Error
	if !errors.As(err, &fault) {
		return ""
	}
	switch fault.Code() & 0xff { // the rest says more of the same
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "another program holds the controller's database (primum.db) locked; nothing was changed. Find it and end it, then try again"
	case sqlite3.SQLITE_FULL:
		return "the disk of the controller's database is full; nothing was changed. Make space, then try again"
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY:
		return "the disk of the controller's database fails; nothing was changed. Check it"
	}
	return ""
}
