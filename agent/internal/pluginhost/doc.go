// Package pluginhost runs the plugins and carries one conversation between a plugin and the wire. It
// never dials a device and never writes the journal: it hands each proposed message on, and ends a
// plugin that proposes what nobody approved (H-005, B1).
//
// A process of a plugin serves one conversation at a time; more are started when more is asked. So a plugin
// that hangs, floods, dies or eats costs the conversation that it was in and nothing else (H-008). Such a
// fault is counted by the hash of the binary, on disk; the third within an hour puts this version aside on
// this agent until a person clears it. A proposal that nobody approved does so at once.
package pluginhost
