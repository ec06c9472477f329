// Package sdktest proves probes. Conform holds a probe to the contract; a Host with a Peer plays one
// conversation with a scripted device, in this process or with the real one that an agent would start.
//
// No device and no network is needed: a probe owns no socket.
package sdktest
