// Package evidence defines the records that prove what was asked, refused, sent and answered. Each
// record names the hash of the one before it, so that a changed, dropped or reordered record is found
// by anyone who holds the chain (H-029).
//
// It is pure: no file, no clock. The agent's journal writes records to disk; the controller verifies
// them on the way in.
package evidence
