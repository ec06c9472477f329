// Package lab is a small simulated hospital of glass devices: simulators on
// loopback that break for ever at the first breach of their own rules, and the
// judge that counts every octet that each of them received.
//
// It is an independent witness. It has its own decoders and imports nothing
// that sends questions, so that a mistake made there cannot be made here a
// second time (H-001). A device is judged by what reached its sockets and by
// nothing else. It never dials, and it never leaves 127.0.0.0/8.
//
// Start from Start with a DeviceConfig, talk to the addresses of the Device,
// and read Hospital.Report.
package lab
