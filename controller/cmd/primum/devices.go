package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"

	adminv1 "primum/proto/admin/v1"
)

type deviceCommands struct {
	Import importCommand     `cmd:"" help:"Take a CMMS export: every row, or none."`
	List   deviceListCommand `cmd:"" help:"List devices."`
	Show   deviceShowCommand `cmd:"" help:"Show one device, what it answered, and what differs."`
	Out    outOfUseCommand   `cmd:"" name:"out-of-use" help:"Say for a time that no patient depends on a device. Life-support and high-risk devices are asked only then."`
	In     inUseCommand      `cmd:"" name:"in-use" help:"Say that a patient depends on a device: what is under way stops."`
	Clear  clearCommand      `cmd:"" help:"Say that a device in distress was looked at and may be asked again. Needs the role clinical or admin, and an approver's key."`
}

type importCommand struct {
	File         string `arg:"" help:"CSV file with a header line, UTF-8."`
	ValidateOnly bool   `help:"Check every row and take none."`
}

// Run imports.
func (c *importCommand) Run(e *env) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return input("the inventory cannot be read: %v", err)
	}
	if len(text) > 3<<20 {
		return input("%s has %d octets; at most 3 MiB are taken at a time", c.File, len(text))
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := call(adminv1.NewInventoryServiceClient(cl.conn).ImportDevices, &adminv1.ImportDevicesRequest{Csv: text, ValidateOnly: c.ValidateOnly})
	if err != nil {
		return err
	}
	for _, p := range r.GetProblems() {
		place := fmt.Sprintf("row %d", p.GetRow())
		if p.GetColumn() != "" {
			place += ", column " + p.GetColumn()
		}
		fmt.Fprintf(e.err, "%s: %s\n", plain(place), plain(p.GetProblem()))
	}
	if n := len(r.GetProblems()); n > 0 {
		if err := e.show(r, func() {}); err != nil {
			return err
		}
		if n == 1 {
			return input("%s has 1 problem; nothing was taken. Correct it and import the file again.", c.File)
		}
		return input("%s has %d problems; nothing was taken. Correct them and import the file again.", c.File, n)
	}
	return e.show(r, func() {
		if c.ValidateOnly {
			for _, n := range r.GetNotes() {
				e.say("%s", n)
			}
			e.say("Every row is good: %d devices would be new, %d changed, %d as before. Nothing was taken.", r.GetCreated(), r.GetUpdated(), r.GetUnchanged())
			return
		}
		for _, n := range r.GetNotes() {
			e.say("%s", n)
		}
		e.say("%d devices are new, %d changed, %d are as before.", r.GetCreated(), r.GetUpdated(), r.GetUnchanged())
	})
}

// maxPages bounds a list: at 100 a page, a million entries.
const maxPages = 10_000

// pages reads a paged list to its end.
func pages[T any](next func(token string) ([]T, string, error)) ([]T, error) {
	var all []T
	token := ""
	for range maxPages {
		some, after, err := next(token)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if after == "" || after == token {
			return all, nil
		}
		token = after
	}
	return nil, fmt.Errorf("the list has more than %d pages; the controller does not come to an end", maxPages)
}

// devices reads the whole inventory.
func (c *client) devices() ([]*adminv1.Device, error) {
	return pages(func(token string) ([]*adminv1.Device, string, error) {
		r, err := call(adminv1.NewInventoryServiceClient(c.conn).ListDevices, &adminv1.ListDevicesRequest{PageToken: token, PageSize: 1000})
		return r.GetDevices(), r.GetNextPageToken(), err
	})
}

type deviceListCommand struct {
	Moved bool `help:"Only devices that are not where the inventory has them, with both places."`
}

// Run lists.
func (c *deviceListCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := cl.devices()
	if err != nil {
		return err
	}
	if c.Moved {
		return e.moved(slices.DeleteFunc(all, func(d *adminv1.Device) bool { return d.GetMoved() == nil }))
	}
	return e.show(&adminv1.ListDevicesResponse{Devices: all}, func() {
		var rows [][]string
		for _, d := range all {
			rows = append(rows, []string{d.GetAssetTag(), d.GetManufacturer(), d.GetModel(), d.GetFirmware(), d.GetIp(), d.GetDepartment(), d.GetLastOutcome()})
		}
		e.table([]string{"TAG", "MAKER", "MODEL", "FIRMWARE", "ADDRESS", "DEPARTMENT", "LAST OUTCOME"}, rows)
	})
}

// moved lists the places of devices that are not where they should be.
func (e *env) moved(all []*adminv1.Device) error {
	return e.show(&adminv1.ListDevicesResponse{Devices: all}, func() {
		if len(all) == 0 {
			e.say("No device is known to have moved.")
			return
		}
		var rows [][]string
		for _, d := range all {
			m := d.GetMoved()
			rows = append(rows, []string{d.GetAssetTag(), d.GetManufacturer(), d.GetModel(), m.GetFrom(), cmp.Or(m.GetTo(), "-"), when(m.GetAt()), m.GetDetail()})
		}
		e.table([]string{"TAG", "MAKER", "MODEL", "INVENTORY", "SEEN AT", "WHEN", "HOW"}, rows)
	})
}

type deviceShowCommand struct {
	Device string `arg:"" help:"Asset tag."`
}

// Run shows.
func (c *deviceShowCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	d, err := call(adminv1.NewInventoryServiceClient(cl.conn).GetDevice, &adminv1.GetDeviceRequest{Name: within("devices", c.Device)})
	if err != nil {
		return err
	}
	return e.show(d, func() {
		e.say("%s  %s %s, %s %s", d.GetAssetTag(), d.GetManufacturer(), d.GetModel(), d.GetDepartment(), d.GetLocation())
		e.say("  CMMS: serial %q, firmware %q, address %s, MAC %s", d.GetSerial(), d.GetFirmware(), d.GetIp(), d.GetMac())
		if d.GetCmmsStatus() != "" {
			e.say("  CMMS status: %s, as of %s", d.GetCmmsStatus(), cmp.Or(d.GetCmmsStatusAt(), "no time that it says"))
		}
		if d.GetAddressAttestedBy() != "" {
			e.say("  %s attests the address %s until %s", d.GetAddressAttestedBy(), d.GetAddressAttested(), d.GetAddressAttestedUntil())
		}
		if d.GetOutOfUseConfirmedUntil() != nil {
			e.say("  confirmed out of use until %s, by %s", when(d.GetOutOfUseConfirmedUntil()), d.GetOutOfUseConfirmedBy())
		}
		e.say("  last asked: %s %s", when(d.GetLastAsked()), d.GetLastOutcome())
		for _, f := range d.GetFacts() {
			e.say("  it says: %s = %s (%s, %s)", f.GetField(), f.GetValue(), f.GetOrigin(), when(f.GetAt()))
		}
		if m := d.GetMoved(); m != nil {
			e.say("  ! it is no longer at %s, and its network card was seen at %s (%s): %s", m.GetFrom(), cmp.Or(m.GetTo(), "no other address"), when(m.GetAt()), m.GetDetail())
		}
		for _, s := range d.GetDifferences() {
			e.say("  ! %s", s)
		}
		for _, s := range d.GetFindings() {
			e.say("  ! %s", s)
		}
		e.distresses(d)
	})
}

type explainCommand struct {
	Device string   `arg:"" help:"Asset tag."`
	Kind   string   `arg:"" optional:"" help:"snmp.get, dicom.echo or hl7.ack. Defaults to every question worth deciding about."`
	Port   uint16   `help:"Port, with KIND. Defaults to the registered one."`
	OID    []string `name:"oid" help:"Object of snmp.get, with KIND; once for each, in order."`
}

// Run explains.
func (c *explainCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := call(adminv1.NewInventoryServiceClient(cl.conn).ExplainQuestion, &adminv1.ExplainQuestionRequest{Device: within("devices", c.Device), Kind: c.Kind, Port: uint32(c.Port), Oids: c.OID})
	if err != nil {
		return err
	}
	return e.show(r, func() {
		for _, x := range r.GetExplanations() {
			reason := x.GetReason()
			if x.GetAllowed() && len(x.GetNotNow()) > 0 {
				reason += " by the list, and not asked now"
			}
			e.say("%s: %s", x.GetQuestion(), reason)
			for _, why := range x.GetNotNow() {
				e.say("  not now: %s", why)
			}
			if !x.GetAllowed() || len(x.GetNotNow()) == 0 {
				e.say("  %s %s", x.GetWhat(), x.GetWhy())
			}
			if x.GetDetail() != "" {
				e.say("  In particular: %s", x.GetDetail())
			}
			if !x.GetAllowed() || len(x.GetNotNow()) == 0 {
				e.say("  %s", x.GetDo())
			}
			for _, id := range x.GetStatements() {
				e.say("  statement: %s", id)
			}
			for _, ev := range x.GetEvidence() {
				e.say("  evidence: %s", ev)
			}
			for _, b := range x.GetBeside() {
				e.say("  beside it: %s", b)
			}
			e.messages(x.GetMessages(), false)
		}
	})
}

// messages prints each message in words and, unless it is a summary, in hex.
func (e *env) messages(all []*adminv1.PlannedMessage, summary bool) {
	for _, m := range all {
		e.say("      %s, %d octets", m.GetWords(), len(m.GetHex())/2)
		for h := m.GetHex(); h != "" && !summary; {
			n := min(64, len(h))
			e.say("        %s", h[:n])
			h = h[n:]
		}
	}
}
