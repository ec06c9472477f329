// Package guard admits tasks. A Ticket, the right to hold one conversation, exists only after every
// lock agreed at this moment: the agent's own copy of the list, the window by the wall clock, a live
// lease, no hold, the rest and the gap of the physical device, one conversation at a time, and a
// record on disk that consumed the permit. It never reaches net, proto or pluginhost.
//
// Whatever the guard remembers it can rebuild from the journal ([Guard.Replay]), so a restart forgets
// nothing (H-013, H-020).
package guard
