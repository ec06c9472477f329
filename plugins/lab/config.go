package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Defaults of a glass device. The gaps lie a little under what a visitor has
// to keep, so that only a real breach and no scheduler's jitter is counted.
const (
	DefaultGapAfterUDP = 4500 * time.Millisecond
	DefaultGapAfterTCP = 50 * time.Second
	DefaultIdle        = 5 * time.Second
	DefaultCallingAE   = "PRIMUM"
	DefaultSite        = "DEMOSITE"
	DefaultHL7Version  = "2.5.1"
)

// Config is a hospital to start. The zero value is an empty hospital.
type Config struct {
	// Name is the hospital's name.
	Name string
	// Community is what all SNMP devices expect. Defaults to 16 random
	// characters, readable with Hospital.Community.
	Community string
	// Devices are the glass devices. Tags must differ.
	Devices []DeviceConfig
}

// DeviceConfig describes one physical device: one address, one or more
// services, one judge over all of them. A nil service is not there.
type DeviceConfig struct {
	// Tag is the asset tag, required.
	Tag string
	// Manufacturer, Model, Version, Serial and MAC are the truth about the unit.
	Manufacturer, Model, Version, Serial, MAC string
	// Department, Location and Owner say where it stands and whose it is.
	Department, Location, Owner string
	// ClinicalUse and RiskClass are the CMMS's words; RiskClass is
	// life-support, high-risk or other.
	ClinicalUse, RiskClass string
	// Hostname is the name in the lease file and the default of sysName.0.
	Hostname string
	// Address must lie in 127.0.0.0/8. Defaults to 127.0.0.1.
	Address string
	// Fragile makes the first breach break the device for ever.
	Fragile bool
	// Nothing makes every octet and every connection a breach.
	Nothing bool
	// GapAfterUDP and GapAfterTCP are the rest that the device needs between
	// conversations. Zero means the defaults, negative means none.
	GapAfterUDP, GapAfterTCP time.Duration
	// Idle is how long a connection may stay open without a word when the
	// visitor has the turn. Defaults to 5 s.
	Idle time.Duration
	// SNMP, DICOM, HL7 and Line are the services.
	SNMP  *SNMPConfig
	DICOM *DICOMConfig
	HL7   *HL7Config
	Line  *LineConfig
	// Closed are TCP ports where the device listens but must receive nothing.
	Closed []uint16
	// CMMS is how the inventory differs from the truth.
	CMMS CMMS
	// Behaviour is what the device does wrong on purpose.
	Behaviour Behaviour
}

// SNMPConfig is the SNMP v2c service. Port 0 means a free one.
type SNMPConfig struct {
	Port uint16
	// Descr and ObjectID are sysDescr.0 and sysObjectID.0.
	Descr, ObjectID string
	// Name is sysName.0. Defaults to the device's Hostname.
	Name string
	// OIDs is the approved set. Defaults to 1.3.6.1.2.1.1.{1,2,3,5}.0.
	OIDs []string
	// Uptime is sysUpTime.0 when the device starts; it grows from there.
	Uptime time.Duration
}

// DICOMConfig is the Verification service. Port 0 means a free one.
type DICOMConfig struct {
	Port uint16
	// CalledAE and CallingAE are the registered pair. CallingAE defaults to PRIMUM.
	CalledAE, CallingAE string
	// ClassUID and VersionName are the device's own, told in the A-ASSOCIATE-AC.
	ClassUID, VersionName string
}

// HL7Config is the MLLP service. Port 0 means a free one.
type HL7Config struct {
	Port uint16
	// Site, Application, Facility and Version are MSH-4, MSH-5, MSH-6 and
	// MSH-12 of the one message it may receive.
	Site, Application, Facility, Version string
	// Code is MSA-1 of the answer. Defaults to AA.
	Code string
}

// LineConfig is a maker's own serial protocol over TCP; see rack. Port 0 means a free one.
type LineConfig struct {
	Port uint16
	// Unit is the number of the unit on its line, two digits. Defaults to "01".
	Unit string
	// Hours that it has run, as its status tells, 0 to 999999.
	Hours uint32
}

// CMMS is what the maintenance system says differently from the truth, and
// what it says that the device does not know of itself.
type CMMS struct {
	// Manufacturer, Model and Firmware replace the truth where not empty.
	Manufacturer, Model, Firmware string
	// Blank names columns that the CMMS left empty.
	Blank []string
	// HL7Port is named in the inventory although no HL7 service is there.
	HL7Port uint16
	// LeaseMAC and LeaseHost replace the truth in the lease file: the address
	// belongs to something else now (H-003).
	LeaseMAC, LeaseHost string
	// Attested says that a technician has attested the firmware.
	Attested bool
	// Status is cmms_status. Defaults to "active".
	Status string
	// Notes is free text.
	Notes string
}

// Behaviour is what a device does wrong on purpose, for tests of faults. The
// zero value behaves.
type Behaviour struct {
	// Delay is the wait before each answer.
	Delay time.Duration
	// SlowByte is the wait before each octet of a TCP answer.
	SlowByte time.Duration
	// Silent never answers.
	Silent bool
	// SilentAfter answers that many messages and then no more. Zero: no limit.
	SilentAfter int
	// ResetAfter resets a TCP connection at its nth message. Zero: never.
	ResetAfter int
	// RestartAfter makes sysUpTime.0 start again after n answers. Zero: never.
	RestartAfter int
	// Malformed garbles the answer.
	Malformed bool
	// WrongRequestID answers with another SNMP request-id.
	WrongRequestID bool
	// Oversize answers with 4096 octets of sysDescr, or 20 KiB on TCP.
	Oversize bool
	// Reject answers the association request with A-ASSOCIATE-RJ.
	Reject *Reject
	// ContextResult is the result of the presentation context. 0 accepts.
	ContextResult uint8
	// AbortAfterEcho answers the C-ECHO-RQ with A-ABORT.
	AbortAfterEcho bool
	// EchoStatus is the status of the C-ECHO-RSP. 0 is success.
	EchoStatus uint16
	// WrongCode is MSA-1 instead of the expected one.
	WrongCode string
	// WrongControlID answers with another MSA-2.
	WrongControlID bool
}

// Reject is result, source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4).
type Reject struct {
	Result, Source, Reason uint8
}

// The system group's descr, objectID, upTime and name (WIRE-RULES 2.4).
const (
	oidDescr    = "1.3.6.1.2.1.1.1.0"
	oidObjectID = "1.3.6.1.2.1.1.2.0"
	oidUptime   = "1.3.6.1.2.1.1.3.0"
	oidName     = "1.3.6.1.2.1.1.5.0"
)

// settled returns the configuration with its defaults, or why it cannot be.
func (c DeviceConfig) settled() (DeviceConfig, netip.Addr, error) {
	if c.Tag == "" {
		return c, netip.Addr{}, errors.New("read device: asset tag is missing")
	}
	if c.Address == "" {
		c.Address = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(c.Address)
	if err != nil {
		return c, addr, fmt.Errorf("read address of %s: %w", c.Tag, err)
	}
	// A simulator that answers for a real address would be a hazard itself.
	if !addr.Is4() || !netip.MustParsePrefix("127.0.0.0/8").Contains(addr) {
		return c, addr, fmt.Errorf("read address of %s: %s is not in 127.0.0.0/8", c.Tag, addr)
	}
	c.GapAfterUDP = settleGap(c.GapAfterUDP, DefaultGapAfterUDP)
	c.GapAfterTCP = settleGap(c.GapAfterTCP, DefaultGapAfterTCP)
	if c.Idle <= 0 {
		c.Idle = DefaultIdle
	}
	switch c.RiskClass {
	case "":
		c.RiskClass = "other"
	case "life-support", "high-risk", "other":
	default:
		return c, addr, fmt.Errorf("read risk class of %s: %q is not life-support, high-risk or other", c.Tag, c.RiskClass)
	}
	if c.SNMP != nil {
		s := *c.SNMP
		if s.Name == "" {
			s.Name = c.Hostname
		}
		if s.Descr == "" {
			s.Descr = strings.TrimSpace(c.Manufacturer + " " + c.Model + " software " + c.Version)
		}
		if s.ObjectID == "" {
			s.ObjectID = "1.3.6.1.4.1.99990"
		}
		if len(s.OIDs) == 0 {
			s.OIDs = []string{oidDescr, oidObjectID, oidUptime, oidName}
		}
		for _, text := range append([]string{s.ObjectID}, s.OIDs...) {
			if _, err := parseOID(text); err != nil {
				return c, addr, fmt.Errorf("read SNMP of %s: %w", c.Tag, err)
			}
		}
		c.SNMP = &s
	}
	if c.DICOM != nil {
		s := *c.DICOM
		if s.CallingAE == "" {
			s.CallingAE = DefaultCallingAE
		}
		if s.ClassUID == "" {
			s.ClassUID = "2.25.99990.1"
		}
		if s.CalledAE == "" || len(s.CalledAE) > 16 || len(s.CallingAE) > 16 || len(s.VersionName) > 16 {
			return c, addr, fmt.Errorf("read DICOM of %s: AE titles and version name have 1 to 16 characters", c.Tag)
		}
		c.DICOM = &s
	}
	if c.HL7 != nil {
		s := *c.HL7
		if s.Site == "" {
			s.Site = DefaultSite
		}
		if s.Version == "" {
			s.Version = DefaultHL7Version
		}
		if s.Code == "" {
			s.Code = "AA"
		}
		c.HL7 = &s
	}
	if c.Line != nil {
		s := *c.Line
		if s.Unit == "" {
			s.Unit = "01"
		}
		if len(s.Unit) != 2 || strings.Trim(s.Unit, "0123456789") != "" || s.Hours > 999999 {
			return c, addr, fmt.Errorf("read serial line of %s: the unit has two digits, the hours at most six", c.Tag)
		}
		c.Line = &s
	}
	return c, addr, nil
}

func settleGap(told, otherwise time.Duration) time.Duration {
	switch {
	case told == 0:
		return otherwise
	case told < 0:
		return 0
	}
	return told
}
