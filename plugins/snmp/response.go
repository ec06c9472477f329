package snmp

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gosnmp/gosnmp"

	"primum/plugins/sdk"
)

const (
	// maxResponse is the largest datagram that is read (S9).
	maxResponse = 1472
	// maxErrorStatus is inconsistentName, the last that RFC 3416 3 knows.
	maxErrorStatus = 18
)

// read reads one response. Whatever the octets are, it returns a result, and Answered only for the
// response to exactly this request (S2, S9).
func read(q sdk.SNMPGet, message []byte) sdk.Result {
	if len(message) > maxResponse {
		return malformed("the response is longer than a datagram may be")
	}
	version, err := versionOf(q)
	if err != nil {
		return malformed(err.Error())
	}
	h, err := envelope(version, message)
	if err != nil {
		return malformed(err.Error())
	}
	// gosnmp's own receiver takes a response with id 0 for any request; here it is nobody's.
	if h.requestID == 0 || h.requestID != q.RequestID {
		return malformed("the response carries another request id")
	}
	if h.errorStatus > maxErrorStatus {
		return malformed("the response carries an unknown error status")
	}
	p, err := decode(version, message)
	if err != nil {
		return malformed("the response cannot be decoded")
	}
	if h.errorStatus != 0 {
		return declined(q, h, p.Variables)
	}
	if !sameObjects(q, p.Variables) {
		return malformed("the response holds other objects than were asked for")
	}
	return values(q, p.Variables)
}

// decode is gosnmp's decoder with a net under it. Its releases up to 1.36 panicked on malformed
// packets more than once (S9), and a panic here would end every conversation of the process; the
// device's octets would then have stopped the checks of other devices (H-023).
func decode(version gosnmp.SnmpVersion, message []byte) (p *gosnmp.SnmpPacket, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("decode response: %v", r)
		}
	}()
	codec := gosnmp.GoSNMP{Version: version}
	return codec.SnmpDecodePacket(message)
}

func malformed(why string) sdk.Result { return sdk.Result{Status: sdk.Malformed, Detail: why} }

// declined reads an error response. It repeats the objects of the request, or, for tooBig, none
// (RFC 3416 4.2.1).
func declined(q sdk.SNMPGet, h header, vars []gosnmp.SnmpPDU) sdk.Result {
	if len(vars) != 0 && !sameObjects(q, vars) {
		return malformed("the error response holds other objects than were asked for")
	}
	return sdk.Result{
		Status: sdk.Declined,
		Detail: fmt.Sprintf("the device answered with the error status %s", gosnmp.SNMPError(h.errorStatus)),
		Attributes: []sdk.Attribute{
			{Name: "snmp.error_status", Value: strconv.Itoa(int(h.errorStatus))},
			{Name: "snmp.error_index", Value: strconv.Itoa(int(h.errorIndex))},
		},
	}
}

func sameObjects(q sdk.SNMPGet, vars []gosnmp.SnmpPDU) bool {
	if len(vars) != len(q.OIDs) {
		return false
	}
	for i, v := range vars {
		if strings.TrimPrefix(v.Name, ".") != q.OIDs[i] {
			return false
		}
	}
	return true
}

// values turns the objects into facts. An object that the device does not have is told as an
// attribute and makes no fact.
func values(q sdk.SNMPGet, vars []gosnmp.SnmpPDU) sdk.Result {
	r := sdk.Result{
		Status:     sdk.Answered,
		Attributes: []sdk.Attribute{{Name: "snmp.error_status", Value: "0"}},
	}
	missing := 0
	for i, v := range vars {
		oid := q.OIDs[i]
		if why, absent := absence(v.Type); absent {
			missing++
			r.Attributes = append(r.Attributes, sdk.Attribute{Name: "snmp.missing." + oid, Value: why})
			continue
		}
		if oid == oidUptime {
			ticks, ok := v.Value.(uint32)
			if v.Type != gosnmp.TimeTicks || !ok {
				return malformed("sysUpTime.0 is not of its type")
			}
			r.Vitals.UptimeTicks = &ticks
			continue
		}
		o, known := lookUp(oid)
		text, ok := textOf(v)
		if !ok || known && v.Type != o.kind {
			return malformed("the value of " + oid + " is not of its type")
		}
		switch {
		case text == "":
			r.Attributes = append(r.Attributes, sdk.Attribute{Name: "snmp.empty." + oid, Value: "empty"})
		case known:
			r.Facts = append(r.Facts, sdk.Fact{Field: o.field, Value: text, Origin: o.name})
		default:
			r.Attributes = append(r.Attributes, sdk.Attribute{Name: "snmp.value." + oid, Value: text})
		}
	}
	if missing == len(vars) {
		r.Status = sdk.Declined
		r.Detail = "the device has none of the objects that were asked for"
	}
	return r
}

func absence(kind gosnmp.Asn1BER) (string, bool) {
	switch kind {
	case gosnmp.NoSuchObject:
		return "noSuchObject", true
	case gosnmp.NoSuchInstance:
		return "noSuchInstance", true
	case gosnmp.EndOfMibView:
		return "endOfMibView", true
	}
	return "", false
}

// textOf shows a value of a type that SNMPv2 knows (RFC 2578 7.1); gosnmp leaves the value out where
// it could not read one.
func textOf(v gosnmp.SnmpPDU) (string, bool) {
	switch value := v.Value.(type) {
	case []byte:
		return sdk.Text(value), v.Type == gosnmp.OctetString
	case string:
		return sdk.Text([]byte(strings.TrimPrefix(value, "."))), true
	case int:
		return strconv.Itoa(value), true
	case uint:
		return strconv.FormatUint(uint64(value), 10), true
	case uint32:
		return strconv.FormatUint(uint64(value), 10), true
	case uint64:
		return strconv.FormatUint(value, 10), true
	}
	return "", false
}
