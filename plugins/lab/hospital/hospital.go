// Package hospital reads a simulated hospital from YAML. The demo hospital is
// part of the program. Makers and models are invented, and every unknown word
// in a file is an error: a misspelt rule would be a rule that is not judged.
package hospital

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"time"

	"go.yaml.in/yaml/v3"

	"primum/plugins/lab"
)

//go:embed demo.yaml
var demo []byte

// Demo returns the built-in hospital.
func Demo() (lab.Config, error) { return Read(demo) }

// Document is a hospital file.
type Document struct {
	// Hospital is the name.
	Hospital string `yaml:"hospital"`
	// Models are the products, by a key that units refer to.
	Models map[string]Model `yaml:"models"`
	// Units are the devices.
	Units []Unit `yaml:"units"`
}

// Model is what all units of a product share.
type Model struct {
	Manufacturer string        `yaml:"manufacturer"`
	Model        string        `yaml:"model"`
	Version      string        `yaml:"version"`
	ClinicalUse  string        `yaml:"clinical_use"`
	RiskClass    string        `yaml:"risk_class"`
	Nothing      bool          `yaml:"must_receive_nothing"`
	Attested     bool          `yaml:"attested"`
	GapAfterUDP  time.Duration `yaml:"gap_after_udp"`
	GapAfterTCP  time.Duration `yaml:"gap_after_tcp"`
	Idle         time.Duration `yaml:"idle"`
	SNMP         *SNMP         `yaml:"snmp"`
	DICOM        *DICOM        `yaml:"dicom"`
	HL7          *HL7          `yaml:"hl7"`
	Closed       []uint16      `yaml:"closed_ports"`
	Behaviour    Behaviour     `yaml:"behaviour"`
}

// SNMP is the SNMP service of a model.
type SNMP struct {
	Port     uint16        `yaml:"port"`
	Descr    string        `yaml:"descr"`
	ObjectID string        `yaml:"object_id"`
	OIDs     []string      `yaml:"oids"`
	Uptime   time.Duration `yaml:"uptime"`
}

// DICOM is the Verification service of a model.
type DICOM struct {
	Port        uint16 `yaml:"port"`
	CallingAE   string `yaml:"calling_ae"`
	ClassUID    string `yaml:"class_uid"`
	VersionName string `yaml:"version_name"`
}

// HL7 is the MLLP service of a model.
type HL7 struct {
	Port        uint16 `yaml:"port"`
	Site        string `yaml:"site"`
	Application string `yaml:"application"`
	Facility    string `yaml:"facility"`
	Version     string `yaml:"version"`
	Code        string `yaml:"code"`
}

// Unit is one physical device.
type Unit struct {
	Of         string `yaml:"of"`
	Tag        string `yaml:"tag"`
	Serial     string `yaml:"serial"`
	MAC        string `yaml:"mac"`
	Address    string `yaml:"address"`
	Hostname   string `yaml:"hostname"`
	Department string `yaml:"department"`
	Location   string `yaml:"location"`
	Owner      string `yaml:"owner"`
	AETitle    string `yaml:"ae_title"`
	Fragile    bool   `yaml:"fragile"`
	Nothing    bool   `yaml:"must_receive_nothing"`
	// Version and Descr replace the model's.
	Version   string     `yaml:"version"`
	Descr     string     `yaml:"descr"`
	Behaviour *Behaviour `yaml:"behaviour"`
	CMMS      CMMS       `yaml:"cmms"`
}

// CMMS is how the inventory differs from the unit.
type CMMS struct {
	Manufacturer string   `yaml:"manufacturer"`
	Model        string   `yaml:"model"`
	Firmware     string   `yaml:"firmware"`
	Blank        []string `yaml:"blank"`
	HL7Port      uint16   `yaml:"hl7_port"`
	LeaseMAC     string   `yaml:"lease_mac"`
	LeaseHost    string   `yaml:"lease_host"`
	Status       string   `yaml:"status"`
	Notes        string   `yaml:"notes"`
}

// Behaviour is what a device does wrong on purpose.
type Behaviour struct {
	Delay          time.Duration `yaml:"delay"`
	SlowByte       time.Duration `yaml:"slow_byte"`
	Silent         bool          `yaml:"silent"`
	SilentAfter    int           `yaml:"silent_after"`
	ResetAfter     int           `yaml:"reset_after"`
	RestartAfter   int           `yaml:"restart_after"`
	Malformed      bool          `yaml:"malformed"`
	WrongRequestID bool          `yaml:"wrong_request_id"`
	Oversize       bool          `yaml:"oversize"`
	Reject         *Reject       `yaml:"reject"`
	ContextResult  uint8         `yaml:"context_result"`
	AbortAfterEcho bool          `yaml:"abort_after_echo"`
	EchoStatus     uint16        `yaml:"echo_status"`
	WrongCode      string        `yaml:"wrong_code"`
	WrongControlID bool          `yaml:"wrong_control_id"`
}

// Reject is the triple of an A-ASSOCIATE-RJ.
type Reject struct {
	Result uint8 `yaml:"result"`
	Source uint8 `yaml:"source"`
	Reason uint8 `yaml:"reason"`
}

// Read decodes a hospital file strictly: unknown keys and a second document
// are errors.
func Read(raw []byte) (lab.Config, error) {
	var doc Document
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&doc); err != nil {
		return lab.Config{}, fmt.Errorf("read hospital: %w", err)
	}
	if err := decoder.Decode(new(Document)); !errors.Is(err, io.EOF) {
		return lab.Config{}, errors.New("read hospital: more than one document")
	}
	cfg := lab.Config{Name: doc.Hospital}
	for _, unit := range doc.Units {
		model, known := doc.Models[unit.Of]
		if !known {
			return lab.Config{}, fmt.Errorf("read unit %s: no model %q", unit.Tag, unit.Of)
		}
		cfg.Devices = append(cfg.Devices, unit.device(model))
	}
	if len(cfg.Devices) == 0 {
		return lab.Config{}, errors.New("read hospital: it has no units")
	}
	return cfg, nil
}

func (u Unit) device(m Model) lab.DeviceConfig {
	behaviour := m.Behaviour
	if u.Behaviour != nil {
		behaviour = *u.Behaviour
	}
	d := lab.DeviceConfig{
		Tag: u.Tag, Manufacturer: m.Manufacturer, Model: m.Model, Version: first(u.Version, m.Version),
		Serial: u.Serial, MAC: u.MAC, Department: u.Department, Location: u.Location, Owner: u.Owner,
		ClinicalUse: m.ClinicalUse, RiskClass: m.RiskClass, Hostname: u.Hostname, Address: u.Address,
		Fragile: u.Fragile, Nothing: m.Nothing || u.Nothing,
		GapAfterUDP: m.GapAfterUDP, GapAfterTCP: m.GapAfterTCP, Idle: m.Idle, Closed: m.Closed,
		Behaviour: behaviour.lab(),
		CMMS: lab.CMMS{
			Manufacturer: u.CMMS.Manufacturer, Model: u.CMMS.Model, Firmware: u.CMMS.Firmware,
			Blank: u.CMMS.Blank, HL7Port: u.CMMS.HL7Port, LeaseMAC: u.CMMS.LeaseMAC,
			LeaseHost: u.CMMS.LeaseHost, Attested: m.Attested, Status: u.CMMS.Status, Notes: u.CMMS.Notes,
		},
	}
	if s := m.SNMP; s != nil {
		d.SNMP = &lab.SNMPConfig{Port: s.Port, Descr: first(u.Descr, s.Descr), ObjectID: s.ObjectID, OIDs: s.OIDs, Uptime: s.Uptime}
	}
	if s := m.DICOM; s != nil {
		d.DICOM = &lab.DICOMConfig{Port: s.Port, CalledAE: u.AETitle, CallingAE: s.CallingAE, ClassUID: s.ClassUID, VersionName: s.VersionName}
	}
	if s := m.HL7; s != nil {
		d.HL7 = &lab.HL7Config{Port: s.Port, Site: s.Site, Application: s.Application, Facility: s.Facility, Version: s.Version, Code: s.Code}
	}
	return d
}

func (b Behaviour) lab() lab.Behaviour {
	out := lab.Behaviour{
		Delay: b.Delay, SlowByte: b.SlowByte, Silent: b.Silent, SilentAfter: b.SilentAfter,
		ResetAfter: b.ResetAfter, RestartAfter: b.RestartAfter, Malformed: b.Malformed,
		WrongRequestID: b.WrongRequestID, Oversize: b.Oversize, ContextResult: b.ContextResult,
		AbortAfterEcho: b.AbortAfterEcho, EchoStatus: b.EchoStatus, WrongCode: b.WrongCode,
		WrongControlID: b.WrongControlID,
	}
	if b.Reject != nil {
		out.Reject = &lab.Reject{Result: b.Reject.Result, Source: b.Reject.Source, Reason: b.Reject.Reason}
	}
	return out
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
