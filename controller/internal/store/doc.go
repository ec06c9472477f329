// Package store keeps what the controller must not forget: permission, sessions, what was sent, what
// came back. It holds the only SQL of the controller, one file a table, and knows no other room.
//
// Every change that belongs together is one transaction, begun IMMEDIATE by the one writer. A change
// made for an agent is fenced by its session epoch in that same transaction, so that an older session
// changes nothing. Start at [Open].
package store
