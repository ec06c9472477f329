// Package budget counts the packets that may go out over the gap of each device: for its physical device, its model, its subnet, the
// agent that asks it, and its site (DESIGN 4.3). A conversation is charged whole before it starts; the tightest budget holds, and none lifts
// another. The agent counts its own conversations; the controller counts those of all its agents before it hands out permits.
package budget
