// Package example is a third party's probe, in a module of its own that imports nothing of Primum but
// the SDK. It answers "snmp.get" for the pumps of a maker that is made up, Acme, with its own few lines
// of BER instead of a library: copy it, and replace the BER by what your devices speak.
package example
