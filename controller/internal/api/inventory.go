package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/controller/internal/hold"
	"primum/controller/internal/identity"
	"primum/controller/internal/inventory"
	"primum/controller/internal/plan"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/frame"
)

type inventoryService struct {
	adminv1.UnimplementedInventoryServiceServer
	*API
}

// ImportDevices implements the call.
func (s *inventoryService) ImportDevices(ctx context.Context, r *adminv1.ImportDevicesRequest) (*adminv1.ImportDevicesResponse, error) {
	rows, problems := inventory.Parse(r.GetCsv(), s.Now())
	if len(problems) > 0 {
		out := &adminv1.ImportDevicesResponse{}
		for _, p := range problems {
			out.Problems = append(out.Problems, &adminv1.RowProblem{Row: uint32(p.Row), Column: p.Column, Problem: p.Words})
		}
		return out, nil
	}
	devices := make([]store.Device, len(rows))
	for i, row := range rows {
		devices[i] = store.Device{Tag: row.Tag(), Cells: row.Cells()}
	}
	notes, err := s.stillInUse(ctx, devices)
	if err != nil {
		return nil, s.failed(err, "holds")
	}
	notes = append(append(notes, over(rows, s.Now())...), shared(rows)...)
	if r.GetValidateOnly() {
		n, err := s.Store.WouldPut(ctx, devices)
		if err != nil {
			return nil, s.failed(err, "the import")
		}
		return &adminv1.ImportDevicesResponse{Created: uint32(n.Created), Updated: uint32(n.Updated), Unchanged: uint32(n.Unchanged), Notes: notes}, nil
	}
	req, result, done, err := s.request(ctx, r.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	var n store.Counts
	if done {
		err = json.Unmarshal([]byte(result), &n)
	} else {
		n, err = s.Store.PutDevices(ctx, devices, req, s.act(ctx, "import devices", "devices"))
	}
	if err != nil {
		return nil, s.failed(err, "the import")
	}
	return &adminv1.ImportDevicesResponse{Created: uint32(n.Created), Updated: uint32(n.Updated), Unchanged: uint32(n.Unchanged), Notes: notes}, nil
}

// ListDevices implements the call.
func (s *inventoryService) ListDevices(ctx context.Context, r *adminv1.ListDevicesRequest) (*adminv1.ListDevicesResponse, error) {
	after, limit, err := page(r.GetPageToken(), r.GetPageSize())
	if err != nil {
		return nil, err
	}
	kept, err := s.Store.Devices(ctx, after, limit)
	if err != nil {
		return nil, s.failed(err, "devices")
	}
	known, err := s.knowledge(ctx, "")
	if err != nil {
		return nil, s.failed(err, "devices")
	}
	out := &adminv1.ListDevicesResponse{}
	for _, d := range kept {
		u, err := known.unit(d)
		if err != nil {
			return nil, s.failed(err, "device "+d.Tag)
		}
		out.Devices = append(out.Devices, u.proto())
		out.NextPageToken = next(len(kept), limit, d.Tag)
	}
	return out, nil
}

// GetDevice implements the call.
func (s *inventoryService) GetDevice(ctx context.Context, r *adminv1.GetDeviceRequest) (*adminv1.Device, error) {
	tag, err := bare(r.GetName(), "devices")
	if err != nil {
		return nil, err
	}
	u, err := s.one(ctx, tag)
	if err != nil {
		return nil, s.failed(err, "device "+tag)
	}
	written, err := s.papers(ctx)
	if err != nil {
		return nil, s.failed(err, "papers")
	}
	out := u.proto()
	out.Findings = written.findings(u.device)
	if out.Distresses, err = s.distresses(ctx, tag); err != nil {
		return nil, s.failed(err, "device "+tag)
	}
	return out, nil
}

// ExplainQuestion implements the call.
func (s *inventoryService) ExplainQuestion(ctx context.Context, r *adminv1.ExplainQuestionRequest) (*adminv1.ExplainQuestionResponse, error) {
	tag, err := bare(r.GetDevice(), "devices")
	if err != nil {
		return nil, err
	}
	kind, err := parseKind(r.GetKind(), true)
	if err != nil {
		return nil, err
	}
	u, err := s.one(ctx, tag)
	if err != nil {
		return nil, s.failed(err, "device "+tag)
	}
	now := s.Now()
	rel, _, no := s.Safety.Current(now)
	if no != nil {
		return nil, refused(*no, nil)
	}
	written, err := s.papers(ctx)
	if err != nil {
		return nil, s.failed(err, "papers")
	}
	_, holds, err := s.Store.HoldsInForce(ctx)
	if err != nil {
		return nil, s.failed(err, "holds")
	}
	whole, err := s.whole(ctx, u.device, rel.List.Site().Name)
	if err != nil {
		return nil, s.failed(err, "holds")
	}
	var beside, notNow []string
	for _, h := range holds {
		if x := (hold.Hold{Scope: hold.Scope(h.Scope), Value: h.Value}); x.Covers(whole) {
			notNow = append(notNow, fmt.Sprintf("hold %d of %s, by %s, stops it: %s", h.ID, x, h.PlacedBy, h.Reason))
		}
	}
	ill, err := s.leftAlone(ctx, append([]string{tag}, whole.Also...))
	if err != nil {
		return nil, s.failed(err, "distresses")
	}
	notNow = append(notNow, ill...)
	if m := u.moved; m != nil {
		notNow = append(notNow, "it "+leftPlace(*m))
	}
	stops, err := s.stopped(ctx)
	if err != nil {
		return nil, s.failed(err, "agents")
	}
	notNow = append(notNow, stops...)
	beside = append(beside, written.findings(u.device)...)
	for _, hint := range rel.List.Hints(list.Observed{MAC: u.device.MAC}) {
		beside = append(beside, "the network card hints at "+hint.Maker)
	}
	out := &adminv1.ExplainQuestionResponse{}
	candidates := rel.List.Candidates(u.device)
	if r.GetPort() != 0 || len(r.GetOids()) > 0 {
		if r.GetPort() > 65535 || kind == "" {
			return nil, status.Error(codes.InvalidArgument, "a port is 1 to 65535, and port and objects need the kind of question")
		}
		q, err := rel.List.Question(u.device, kind, uint16(r.GetPort()), r.GetOids())
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "the question: %v", err)
		}
		candidates = []list.Candidate{{Kind: kind, Port: q.Port(), Query: q}}
	}
	for _, c := range candidates {
		if kind != "" && c.Kind != kind {
			continue
		}
		dec := rel.List.DecideCandidate(u.device, c, now)
		question := string(c.Kind)
		if c.Missing == "" {
			question = c.Query.String()
		}
		e := explanation(rel.List, question, dec)
		if dec.Allowed() {
			if e.Messages, err = messages(c.Query); err != nil {
				return nil, s.failed(err, "explanation")
			}
		}
		e.Beside, e.NotNow = beside, append(u.resting(question, dec, now), notNow...)
		out.Explanations = append(out.Explanations, e)
	}
	if len(out.Explanations) == 0 {
		e := explanation(rel.List, string(kind), plan.Silent(rel.List, u.device, kind, now))
		e.Beside, e.NotNow = beside, notNow
		out.Explanations = append(out.Explanations, e)
	}
	return out, nil
}

// stopped says that no agent asks anything, for a person at the site has stopped each of them.
func (a *API) stopped(ctx context.Context) (out []string, err error) {
	agents, err := a.Store.Agents(ctx, "", 0)
	for _, x := range agents {
		if x.SiteStop.At.IsZero() {
			return nil, err
		}
		out = append(out, fmt.Sprintf("agent %s was stopped at the site by %s at %s UTC: %s. primum-agent resume there ends it", x.Name, x.SiteStop.By, x.SiteStop.At.UTC().Format(time.DateTime), x.SiteStop.Why))
	}
	return out, err
}

// resting says that a device which the list allows to be asked is left in peace until a time.
func (u unit) resting(question string, dec list.Decision, at time.Time) []string {
	for _, v := range u.visits { // newest first
		if end := v.At.Add(dec.Limits.Rest); v.Question == question && dec.Allowed() && at.Before(end) {
			return []string{fmt.Sprintf("it was asked this at %s UTC and rests until %s UTC; it is not asked before", v.At.UTC().Format(time.DateTime), end.UTC().Format(time.DateTime))}
		}
	}
	return nil
}

func explanation(l *list.List, question string, dec list.Decision) *adminv1.Explanation {
	w := dec.Reason.Words()
	e := &adminv1.Explanation{Question: question, Allowed: dec.Allowed(), Reason: string(dec.Reason), Detail: dec.Detail(),
		What: w.What, Why: w.Why, Do: w.Do, Statements: dec.Statements}
	for _, id := range dec.Statements {
		if st := l.Statement(id); st != nil {
			for _, ev := range st.Evidence {
				e.Evidence = append(e.Evidence, strings.TrimSpace(ev.Title+", "+ev.Publisher+", "+ev.Date+" "+ev.Address))
			}
		}
	}
	return e
}

// messages shows the exact bytes of a question, with fixed examples in place of what varies.
func messages(q list.Query) ([]*adminv1.PlannedMessage, error) {
	all, err := frame.Messages(q, frame.Example())
	if err != nil {
		return nil, err
	}
	var out []*adminv1.PlannedMessage
	for _, m := range all {
		out = append(out, &adminv1.PlannedMessage{Hex: hex.EncodeToString(m.Bytes), Words: m.Words})
	}
	return out, nil
}

func parseKind(s string, empty bool) (list.Kind, error) {
	switch k := list.Kind(s); {
	case k == list.SNMPGet, k == list.DICOMEcho, k == list.HL7Ack, k.Vendor(), k == "" && empty:
		return k, nil
	}
	return "", bad("the question %q does not exist; it is snmp.get, dicom.echo, hl7.ack, or a vendor's own such as tcp.maker.status", s)
}

// unit is one device with everything that is known of it.
type unit struct {
	row     inventory.Row
	device  list.Device
	answers []store.Answer
	visits  []store.Visit // newest first
	differ  []string
	moved   *store.Moved
}

// knowledge is what devices have answered, and the list that recognises it.
type knowledge struct {
	list    *list.List
	answers map[string][]store.Answer
	visits  map[string][]store.Visit
	moved   map[string]*store.Moved
}

func (a *API) knowledge(ctx context.Context, tag string) (knowledge, error) {
	k := knowledge{answers: map[string][]store.Answer{}, visits: map[string][]store.Visit{}, moved: map[string]*store.Moved{}}
	if r, _, no := a.Safety.Current(a.Now()); no == nil {
		k.list = r.List
	}
	answers, err := a.Store.Answers(ctx, tag)
	if err != nil {
		return k, err
	}
	visits, err := a.Store.Visits(ctx, tag)
	if err != nil {
		return k, err
	}
	for _, x := range answers {
		k.answers[x.Tag] = append(k.answers[x.Tag], x)
	}
	moved, err := a.Store.Moved(ctx, tag)
	if err != nil {
		return k, err
	}
	for _, m := range moved {
		k.moved[m.Tag] = &m
	}
	for _, v := range visits {
		k.visits[v.Tag] = append(k.visits[v.Tag], v)
	}
	return k, nil
}

func (a *API) one(ctx context.Context, tag string) (unit, error) {
	d, err := a.Store.Device(ctx, tag)
	if err != nil {
		return unit{}, err
	}
	k, err := a.knowledge(ctx, tag)
	if err != nil {
		return unit{}, err
	}
	return k.unit(d)
}

// DeviceNow is a device as it stands now: its row of the inventory, and what it has answered. It fails with store.ErrNotFound.
func (a *API) DeviceNow(ctx context.Context, tag string) (list.Device, error) {
	u, err := a.one(ctx, tag)
	return u.device, err
}

func (k knowledge) unit(d store.Device) (unit, error) {
	row, err := inventory.Restore(d.Cells)
	if err != nil {
		return unit{}, err
	}
	u := unit{row: row, answers: k.answers[d.Tag], visits: k.visits[d.Tag], moved: k.moved[d.Tag]}
	var claim *list.Claim
	for _, x := range u.answers {
		answer := identity.Answer{Run: "runs/" + x.Run, At: x.At}
		for _, f := range x.Facts {
			answer.Facts = append(answer.Facts, identity.Fact(f))
		}
		var mine *list.Claim
		if c, ok := identity.Claim(k.list, answer); ok {
			mine = &c
			if claim == nil || c.At.After(claim.At) {
				claim = mine
			}
		}
		cmms := list.Claim{Source: list.CMMS, Manufacturer: row.Cell("manufacturer"), Model: row.Cell("model"), Version: row.Cell("firmware")}
		sentences, _ := identity.Differences(cmms, row.Cell("serial"), mine, answer)
		u.differ = append(u.differ, sentences...)
	}
	u.device = row.Device(claim)
	return u, nil
}

func (u unit) proto() *adminv1.Device {
	c := u.row.Cell
	port := func(column string) uint32 {
		n, err := strconv.ParseUint(c(column), 10, 16)
		if err != nil {
			return 0 // an empty cell: checked at import
		}
		return uint32(n)
	}
	d := &adminv1.Device{Name: "devices/" + u.row.Tag(), AssetTag: u.row.Tag(), Manufacturer: c("manufacturer"), Model: c("model"), Serial: c("serial"),
		Firmware: c("firmware"), Department: c("department"), Location: c("location"), ClinicalUse: c("clinical_use"), RiskClass: c("risk_class"),
		Owner: c("owner"), Mac: c("mac"), Ip: c("ip"), AeTitle: c("ae_title"), DicomPort: port("dicom_port"), Hl7Port: port("hl7_port"),
		Hl7Application: c("hl7_application"), Hl7Facility: c("hl7_facility"), TlsPin: c("tls_pin"), Hl7Connections: port("hl7_connections"), SnmpVersion: c("snmp_version"), SnmpPort: port("snmp_port"),
		CmmsStatus: c("cmms_status"), CmmsStatusAt: c("cmms_status_at"), FirmwareAttestedBy: c("firmware_attested_by"), FirmwareAttestedOn: c("firmware_attested_on"),
		AddressAttested: c("address_attested"), AddressAttestedBy: c("address_attested_by"), AddressAttestedOn: c("address_attested_on"), AddressAttestedUntil: c("address_attested_until"),
		OutOfUseConfirmedBy: c("out_of_use_confirmed_by"), Notes: c("notes"), Differences: u.differ}
	if u.device.OutOfUse != nil {
		d.OutOfUseConfirmedUntil = stamp(u.device.OutOfUse.Until)
	}
	for _, x := range u.answers {
		for _, f := range x.Facts {
			d.Facts = append(d.Facts, &adminv1.Fact{Field: f.Field, Value: f.Value, Origin: f.Origin, At: stamp(x.At)})
		}
	}
	if m := u.moved; m != nil {
		d.Moved = &adminv1.Moved{From: m.IP, To: m.Seen, Detail: m.Detail, Run: "runs/" + m.Run, At: stamp(m.At)}
	}
	if len(u.visits) > 0 {
		d.LastAsked, d.LastOutcome = stamp(u.visits[0].At), u.visits[0].State
	}
	return d
}
