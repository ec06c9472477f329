// Package journal keeps the agent's evidence records on disk. A record is on disk, by fsync, before
// Append returns: a permit is consumed by such a record before the first byte goes to a device, so
// that no crash can ask twice (H-013).
//
// The file is our one append-only format: a header, then frames of length, CRC-32C and one record in
// canonical form. A torn last frame is what a crash leaves, and is cut off; any other fault is a
// damaged record, and the journal refuses to open. After a failed write or fsync it refuses to go on:
// nothing is asked that cannot be recorded.
//
// It is bounded by trimming: what the controller has acknowledged may go, and nothing else does. In its place stands a
// checkpoint, with the end of the chain, the edge of the Merkle tree, and what the guard needs to remember (H-042).
package journal
