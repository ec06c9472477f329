// Package relay is a small network between an agent and the glass devices, in the network namespace of a test:
// it loses, delays, doubles and reorders packets, cuts the way, resets connections, gives an address to another device, and counts
// what each end sent. The agent has an address on it that is no loopback address, so that it runs under real policy;
// the glass devices stay on loopback, behind a translation of addresses.
//
//	agent 10.77.0.1, near0 = near1 [relay] far1 = far0, 127.0.0.0/8 glass devices
//
// Both cables are veth pairs whose relay end a packet socket reads: no kernel module and no root is needed, and tcpdump
// on near0 sees what the agent's kernel sends and receives. It starts only where nothing but loopback is, so that it can reach nobody else.
package relay
