// Package letter writes to a manufacturer: what a hospital would like to ask a product, octet for octet,
// at which pace and under which conditions; and the statement file that answers it once the manufacturer
// has signed it. It is pure: it opens nothing and sends nothing.
package letter

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"fmt"
	htmltemplate "html/template"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"go.yaml.in/yaml/v3"

	list "primum/safetylists"
	"primum/safetylists/frame"
)

//go:embed letter.md.tmpl
var markdown string

//go:embed letter.html.tmpl
var page string

// Request is what one hospital asks one manufacturer about one product.
type Request struct {
	Hospital string // who asks
	Contact  string // how to reach them: a person, an address
	Date     time.Time
	Maker    string
	Model    string
	Versions []string // as the inventory has them; empty where it does not know
	Units    int
	Class    list.Class
	Queries  []list.Query
	Until    time.Time // how long the answer should hold
}

// Letter is the letter in two forms, and the statement file ready to be signed.
type Letter struct {
	Reference string
	Markdown  []byte
	HTML      []byte // to be printed
	Statement []byte // YAML; it loads, and allows nothing until the manufacturer has signed it
	File      string // name for the statement file, without a folder
}

// question is one question as the letter shows it.
type question struct {
	Words, ID string
	Limits    list.Limits
	TCP       bool
	Ending    string
	Messages  []message
}

type message struct {
	Words  string
	Octets int
	Hex    []string // lines of 32 octets
}

type data struct {
	Request
	Reference string
	Questions []question
	VersionsS string
	Never     []string
	Stops     []string
	OutOfUse  bool
}

var notWord = regexp.MustCompile(`[^a-z0-9]+`)

// slug makes part of an id out of a name.
func slug(name string) string {
	return strings.Trim(notWord.ReplaceAllString(strings.ToLower(list.Plain(name)), "-"), "-")
}

// Write makes the letter. It fails when the request names no product or no question, or when a question
// cannot be put into bytes.
func Write(r Request) (Letter, error) {
	maker, model := slug(r.Maker), slug(r.Model)
	switch {
	case maker == "" || model == "":
		return Letter{}, fmt.Errorf("write letter: a maker and a model are needed, not %q %q", r.Maker, r.Model)
	case len(r.Queries) == 0:
		return Letter{}, fmt.Errorf("write letter: no question for %s %s: register a port of it in the inventory, or name a kind", r.Maker, r.Model)
	case r.Hospital == "" || !r.Date.Before(r.Until):
		return Letter{}, fmt.Errorf("write letter: who asks, and until when, are needed")
	}
	r.Versions = slices.DeleteFunc(slices.Clone(r.Versions), func(v string) bool { return strings.TrimSpace(v) == "" })
	slices.Sort(r.Versions)
	r.Versions = slices.Compact(r.Versions)
	d := data{Request: r, Reference: fmt.Sprintf("%s-%s-%s", maker, model, r.Date.Format("20060102")), OutOfUse: r.Class.NeedsUseEvidence(),
		VersionsS: strings.Join(r.Versions, ", "),
		Never: []string{"walk, write, or try another object, port, title or credential", "open more than one connection, or keep one open",
			"repeat a question that was not answered", "send anything to a unit while a patient depends on it, or outside the time that the hospital has set aside"},
		Stops: []string{"no answer", "a refused or reset connection", "an answer that is malformed or that was not expected", "a rejection"}}
	if d.VersionsS == "" {
		d.VersionsS = "not known to us"
	}
	for _, q := range r.Queries {
		one, err := describe(q, maker+"."+model)
		if err != nil {
			return Letter{}, err
		}
		d.Questions = append(d.Questions, one)
	}
	statement, err := statements(d, maker)
	if err != nil {
		return Letter{}, err
	}
	out := Letter{Reference: d.Reference, Statement: statement, File: maker + "-" + model + ".yaml"}
	var md, html bytes.Buffer
	asText, err := template.New("letter").Funcs(template.FuncMap{"span": list.Span}).Parse(markdown)
	if err == nil {
		err = asText.Execute(&md, escaped(d))
	}
	if err != nil {
		return Letter{}, fmt.Errorf("write letter: %w", err)
	}
	asPage, err := htmltemplate.New("letter").Funcs(htmltemplate.FuncMap{"span": list.Span}).Parse(page)
	if err == nil {
		err = asPage.Execute(&html, d)
	}
	if err != nil {
		return Letter{}, fmt.Errorf("write letter: %w", err)
	}
	out.Markdown, out.HTML = md.Bytes(), html.Bytes()
	return out, nil
}

// escaped makes names that came out of an inventory harmless in Markdown.
func escaped(d data) data {
	clean := func(s string) string {
		s = strings.Join(strings.Fields(s), " ")
		return strings.NewReplacer("\\", "\\\\", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "]", "\\]", "<", "&lt;", "#", "\\#", "|", "\\|").Replace(s)
	}
	for _, s := range []*string{&d.Hospital, &d.Contact, &d.Maker, &d.Model, &d.VersionsS} {
		*s = clean(*s)
	}
	return d
}

func describe(q list.Query, product string) (question, error) {
	all, err := frame.Messages(q, frame.Example())
	if err != nil {
		return question{}, fmt.Errorf("write letter: %w", err)
	}
	out := question{Words: q.String(), ID: product + "." + strings.ReplaceAll(string(q.Kind()), ".", "-"), Limits: q.DefaultLimits(),
		TCP: q.Kind().Transport() == "tcp", Ending: map[string]string{"release": "an association release, then FIN", "fin": "FIN", "none": "nothing: a datagram has no end"}[q.Kind().Ending()]}
	for _, m := range all {
		text := hex.EncodeToString(m.Bytes)
		one := message{Words: m.Words, Octets: len(m.Bytes)}
		for len(text) > 64 {
			one.Hex = append(one.Hex, text[:64])
			text = text[64:]
		}
		out.Messages = append(out.Messages, message{one.Words, one.Octets, append(one.Hex, text)})
	}
	return out, nil
}

// pace writes the limits that the letter names into the file: what is signed does not hang on a default of
// the program that reads it.
func pace(l list.Limits) map[string]any {
	out := map[string]any{"messages": l.Messages}
	for name, d := range map[string]time.Duration{"rest": l.Rest, "gap": l.Gap, "cap": l.Cap, "reply": l.Reply, "connect": l.Connect} {
		if d > 0 {
			out[name] = spelled(d)
		}
	}
	return out
}

// spelled is a duration as a list file has it.
func spelled(d time.Duration) string {
	return strings.NewReplacer(" min", "m", " ", "").Replace(list.Span(d))
}

// statements writes the file and loads it again: what the manufacturer gets to sign holds together.
func statements(d data, maker string) ([]byte, error) {
	type m = map[string]any
	var all []m
	until := d.Until.Format(time.DateOnly)
	for i, q := range d.Queries {
		s := q.Spec()
		rule := m{"kind": string(s.Kind), "port": fmt.Sprint(s.Port)}
		switch s.Kind {
		case list.SNMPGet:
			rule["oids"] = s.OIDs
			for name, value := range map[string]string{"snmp_version": s.SNMPVersion, "auth": s.Auth, "privacy": s.Privacy} {
				if value != "" {
					rule[name] = value
				}
			}
		case list.DICOMEcho:
			rule["calling_ae"] = s.CallingAE
			if s.VersionName != "" {
				rule["version_name"] = s.VersionName
			}
		case list.HL7Ack:
			rule["hl7_version"], rule["expect"] = s.HL7Version, s.Expect
		}
		if s.TLSPin != "" { // which certificate is the site's to register
			rule["tls"] = true
		}
		versions := m{"compare": "opaque", "is": d.Versions}
		if len(d.Versions) == 0 {
			versions = m{"compare": "opaque", "is": []string{"the version that the manufacturer names"}}
		}
		one := m{"id": d.Questions[i].ID, "type": "allow",
			"product":  m{"manufacturers": []string{d.Maker}, "models": []string{d.Model}, "versions": versions},
			"purpose":  "identify",
			"question": rule,
			"limits":   pace(d.Questions[i].Limits),
			"ending":   s.Kind.Ending(),
			"expires":  until,
			"evidence": []m{{"kind": "manufacturer-answer", "title": "Answer to request " + d.Reference, "publisher": d.Maker, "date": d.Date.Format(time.DateOnly),
				"says": "The manufacturer allows this question to these versions under these conditions.", "seen": "full",
				"provenance": "the manufacturer's signature on this file"}}}
		if d.OutOfUse {
			one["clinical_state"] = "out_of_use"
		}
		all = append(all, one)
	}
	body, err := yaml.Marshal(m{"schema": "primum-list/1", "name": maker + "-" + slug(d.Model), "maker": d.Maker, "dated": d.Date.Format(time.DateOnly), "statements": all})
	if err != nil {
		return nil, fmt.Errorf("write letter: %w", err)
	}
	head := fmt.Sprintf("# Ready to be signed by %s, in answer to request %s. Change what is not right, above all the versions;\n"+
		"# add examples, try it with primum list lint and primum list test, and sign it with your own key. Unsigned it allows nothing.\n", strings.Join(strings.Fields(d.Maker), " "), d.Reference)
	text := append([]byte(head), body...)
	if _, err := list.Load(d.Reference, text); err != nil {
		return nil, fmt.Errorf("write letter: the statement file does not hold together: %w", err)
	}
	return text, nil
}
