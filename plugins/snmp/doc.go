// Package snmp is the built-in probe for the question "snmp.get": one SNMPv2c GetRequest and its
// response (RFC 3416 4.2.1). It builds and reads messages, and holds no community: the agent inserts
// that after its check and blanks it in the reply (H-026).
//
// gosnmp serves as codec only. Its Connect, which would open a socket, and its logger, which would
// print communities (S11), are never used.
package snmp
