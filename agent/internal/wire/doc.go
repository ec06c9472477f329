// Package wire is the only dialer of devices. It opens one connection for one ticket, holds every
// proposed message against the approved question (safetylists/frame) and sends its own buffer, reads
// no more of a reply than the conversation needs, and closes so that the device sees a clean end
// (G2 to G7, D4, D5, H10). It inserts the SNMP community and blanks it in the reply (S11).
//
// It must never import proto or pluginhost, and nothing else in the agent may open a connection to a
// device. There is no retry and no second address.
package wire
