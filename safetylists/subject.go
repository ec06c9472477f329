package safetylists

import "slices"

// Subject is a device made ready for decisions: its names folded and its versions parsed once, so
// that deciding about many questions costs nothing again. It is made by [Know] and is immutable. The
// zero value knows nothing.
type Subject struct {
	device  Device
	claims  []known
	oui     string
	options []string // folded
	place   string   // its words; empty: not known
	status  string   // of the CMMS, folded; empty: none that has a time

	anyMaker, anyModel bool // some claim does not state it
	named              bool // some claim states a maker or a model
}

// known is one claim, made ready.
type known struct {
	source                 Source
	raw                    Claim
	maker, model, version  string // folded
	makerWords, modelWords string // spaced
	number                 dotted // of version, when comparable
	comparable             bool
	makerRuns, modelRuns   []uint64 // of each run of words
	makerWhole, modelWhole uint64
	product                product
	repeats                bool // an earlier claim names the same product
	same                   bool // and the same version
}

// Know makes a device ready for decisions.
func Know(d Device) Subject {
	s := Subject{device: d, oui: d.OUI(), claims: make([]known, len(d.Claims)), place: wordsOf(d.Place)}
	if d.Status != nil && !d.Status.At.IsZero() {
		s.status = fold(d.Status.Text)
	}
	for i, c := range d.Claims {
		k := known{source: c.Source, raw: c, maker: fold(c.Manufacturer), model: fold(c.Model), version: fold(c.Version)}
		k.number, k.comparable = parseDotted(k.version)
		k.product = productOf(k.maker, k.model)
		k.makerWords, k.modelWords = spaced(k.maker), spaced(k.model)
		k.makerRuns, k.makerWhole = runsOf(k.makerWords)
		k.modelRuns, k.modelWhole = runsOf(k.modelWords)
		for _, before := range s.claims[:i] {
			product := before.maker == k.maker && before.model == k.model
			k.repeats = k.repeats || product
			k.same = k.same || product && before.version == k.version
		}
		s.claims[i] = k
		s.anyMaker = s.anyMaker || k.maker == ""
		s.anyModel = s.anyModel || k.model == ""
		s.named = s.named || k.maker != "" || k.model != ""
	}
	for _, o := range d.Options {
		if o = fold(o); o != "" {
			s.options = append(s.options, o)
		}
	}
	return s
}

// Device returns the device as it was given.
func (s *Subject) Device() Device { return s.device }

func (s *Subject) has(option string) bool { return slices.Contains(s.options, option) }

// runsOf are the hashes of every run of words in a folded name, with what stands between them, each
// once; and that of the longest. They are FNV-1a of 64 bits: two runs with one hash cost a comparison,
// never a decision, for what the index finds is matched again by its names.
func runsOf(name string) (all []uint64, whole uint64) {
	for first := true; ; first = false {
		skip := 0
		for skip < len(name) && !isWordByte(name[skip]) {
			skip++
		}
		if name = name[skip:]; name == "" {
			return all, whole
		}
		h, next := uint64(14695981039346656037), len(name)
		for i := range len(name) {
			h = (h ^ uint64(name[i])) * 1099511628211
			if !isWordByte(name[i]) || i+1 < len(name) && isWordByte(name[i+1]) {
				continue
			}
			next = min(next, i+1)
			if !slices.Contains(all, h) {
				all = append(all, h)
			}
			if first {
				whole = h
			}
		}
		name = name[next:]
	}
}
