package snmp

import (
	"strings"

	"github.com/gosnmp/gosnmp"

	"primum/plugins/sdk"
)

// oidUptime is sysUpTime.0 (RFC 3418), a vital sign and no fact.
const oidUptime = "1.3.6.1.2.1.1.3.0"

// object says which fact an object is. What is not here makes no fact: nothing is guessed from
// sysDescr, and a revision of hardware or firmware is not the version a safety list speaks of.
type object struct {
	name  string
	field sdk.Field
	kind  gosnmp.Asn1BER
}

// lookUp finds the objects of RFC 3418, RFC 6933 (ENTITY-MIB), RFC 2790 and RFC 3805.
func lookUp(oid string) (object, bool) {
	switch oid {
	case "1.3.6.1.2.1.1.1.0":
		return object{"sysDescr.0", sdk.FieldDescription, gosnmp.OctetString}, true
	case "1.3.6.1.2.1.1.2.0":
		return object{"sysObjectID.0", sdk.FieldObjectID, gosnmp.ObjectIdentifier}, true
	case "1.3.6.1.2.1.1.5.0":
		return object{"sysName.0", sdk.FieldName, gosnmp.OctetString}, true
	case "1.3.6.1.2.1.25.3.2.1.3.1":
		return object{"hrDeviceDescr.1", sdk.FieldDescription, gosnmp.OctetString}, true
	case "1.3.6.1.2.1.43.5.1.1.17.1":
		return object{"prtGeneralSerialNumber.1", sdk.FieldSerial, gosnmp.OctetString}, true
	}
	column, index, ok := strings.Cut(strings.TrimPrefix(oid, entPhysicalEntry), ".")
	if !ok || !strings.HasPrefix(oid, entPhysicalEntry) || strings.Contains(index, ".") {
		return object{}, false
	}
	switch column {
	case "10":
		return object{"entPhysicalSoftwareRev." + index, sdk.FieldVersion, gosnmp.OctetString}, true
	case "11":
		return object{"entPhysicalSerialNum." + index, sdk.FieldSerial, gosnmp.OctetString}, true
	case "12":
		return object{"entPhysicalMfgName." + index, sdk.FieldManufacturer, gosnmp.OctetString}, true
	case "13":
		return object{"entPhysicalModelName." + index, sdk.FieldModel, gosnmp.OctetString}, true
	}
	return object{}, false
}

// entPhysicalEntry is the row of the table of physical parts (RFC 6933), up to the column.
const entPhysicalEntry = "1.3.6.1.2.1.47.1.1.1.1."
