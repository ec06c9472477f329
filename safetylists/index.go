package safetylists

import (
	"slices"
)

// index finds the statements that could speak of a device without looking at the others. It finds too
// much rather than too little: whatever it finds is matched again by [Product.could].
//
// A name matches a statement's when the words of one stand in the other. So each spelling is filed as
// it is, where every run of words of a device's name finds it; and under each run of its own words,
// where a device's name finds the spellings that it stands in.
type index struct {
	models runs // of statements that name models
	makers runs // of statements of any model
	all    runs // makers of all statements, for a device whose model is not stated
	ouis   map[string][]int32
	every  []int32 // all, for a device of which nothing is stated
	anyMod []int32 // of any model, for a device whose maker is not stated
	anyCrd []int32 // of any model, by network card, for a device whose card is not known
	cards  []int32 // by network card, for one whose model is not stated either
	odd    []int32 // with a spelling without a word: always looked at
}

// runs are the spellings of one sort of name, by the hash of a run of words.
type runs struct {
	whole map[uint64][]int32 // the spelling
	part  map[uint64][]int32 // a run of its words
	maybe []uint64           // a bit for each spelling: most runs of a device's name are nobody's spelling
}

func (r *runs) may(h uint64) bool {
	bit := h & uint64(len(r.maybe)*64-1)
	return r.maybe[bit/64]&(1<<(bit%64)) != 0
}

// sift sets the bits when all spellings are filed: sixteen for each, so that a foreign run is looked up
// once in sixteen times.
func (r *runs) sift() {
	n := 1
	for n*64 < 16*len(r.whole) {
		n *= 2
	}
	r.maybe = make([]uint64, n)
	for h := range r.whole {
		bit := h & uint64(n*64-1)
		r.maybe[bit/64] |= 1 << (bit % 64)
	}
}

// newIndex files the statements that have the types.
func newIndex(statements []*Statement, types ...Type) *index {
	x := &index{ouis: map[string][]int32{}}
	for _, r := range []*runs{&x.models, &x.makers, &x.all} {
		*r = runs{whole: map[uint64][]int32{}, part: map[uint64][]int32{}}
	}
	for i, s := range statements {
		if !slices.Contains(types, s.Type) {
			continue
		}
		at, p := int32(i), &s.Product
		x.every = append(x.every, at)
		if len(p.ouis) > 0 {
			x.cards = append(x.cards, at)
		}
		for _, o := range p.ouis {
			x.ouis[o] = appendOnce(x.ouis[o], at)
		}
		if p.anyModel {
			x.anyMod = append(x.anyMod, at)
			if len(p.ouis) > 0 {
				x.anyCrd = append(x.anyCrd, at)
			}
			x.file(x.makers, p.makerWords, at)
		} else {
			x.file(x.models, p.modelWords, at)
		}
		x.file(x.all, p.makerWords, at)
	}
	x.models.sift()
	x.makers.sift()
	x.all.sift()
	return x
}

func (x *index) file(under runs, names []string, i int32) {
	for _, name := range names {
		all, whole := runsOf(name)
		if len(all) == 0 {
			x.odd = appendOnce(x.odd, i)
			continue
		}
		under.whole[whole] = appendOnce(under.whole[whole], i)
		for _, h := range all {
			under.part[h] = appendOnce(under.part[h], i)
		}
	}
}

// appendOnce relies on i growing: a statement is filed completely before the next one.
func appendOnce(list []int32, i int32) []int32 {
	if n := len(list); n > 0 && list[n-1] == i {
		return list
	}
	return append(list, i)
}

// mostFound is how many statements a decision names at most; those with the smallest ids are kept.
const mostFound = 8

// found is an ordered set of at most mostFound statements. It lives on the stack.
type found struct {
	at   [mostFound]int32
	n    int
	more bool // there are others
}

func (f *found) add(i int32) {
	k := f.n
	for k > 0 && f.at[k-1] > i {
		k--
	}
	if k > 0 && f.at[k-1] == i {
		return
	}
	if f.n == mostFound {
		f.more = true
		if k == mostFound {
			return
		}
	} else {
		f.n++
	}
	copy(f.at[k+1:f.n], f.at[k:])
	f.at[k] = i
}

// full reports whether i and whatever comes after it would change nothing any more.
func (f *found) full(i int32) bool { return f.more && f.at[mostFound-1] <= i }

// names returns the ids. One id costs nothing: it is a piece of the list's own ids.
func (l *List) names(f *found) []string {
	switch f.n {
	case 0:
		return nil
	case 1:
		i := f.at[0]
		return l.ids[i : i+1 : i+1]
	}
	out := make([]string, f.n)
	for k := range f.n {
		out[k] = l.ids[f.at[k]]
	}
	return out
}

// matching puts into f what satisfies ok among the candidates for the subject.
func (l *List) matching(x *index, s *Subject, f *found, ok func(*Statement, *Subject, Query) bool, q Query) {
	if len(x.every) == 0 {
		return
	}
	look := func(list []int32) {
		for _, i := range list {
			if f.full(i) {
				return
			}
			if ok(l.statements[i], s, q) {
				f.add(i)
			}
		}
	}
	look(x.odd)
	switch {
	case s.oui == "" && s.anyModel:
		look(x.cards)
	case s.oui == "":
		look(x.anyCrd)
	case len(x.ouis) > 0:
		look(x.ouis[s.oui])
	}
	if len(s.claims) == 0 || s.anyMaker && s.anyModel {
		look(x.every)
		return
	}
	if s.anyMaker {
		look(x.anyMod)
	}
	for i := range s.claims {
		c := &s.claims[i]
		if c.repeats {
			continue
		}
		if s.anyModel {
			x.all.find(c.makerRuns, c.makerWhole, look)
		} else {
			x.makers.find(c.makerRuns, c.makerWhole, look)
		}
		x.models.find(c.modelRuns, c.modelWhole, look)
	}
}

// find looks at the spellings that stand in a name, and at those that the name stands in.
func (r *runs) find(of []uint64, whole uint64, look func([]int32)) {
	if len(r.whole) == 0 || len(of) == 0 {
		return
	}
	for _, h := range of {
		if r.may(h) {
			look(r.whole[h])
		}
	}
	look(r.part[whole])
}

// product is the hash of the exact pair of names that an allowance is found by. Two pairs with one hash are
// told apart when the allowance is held against the claims.
type product uint64

func productOf(maker, model string) product {
	h := uint64(14695981039346656037)
	for _, name := range [...]string{maker, "\x00", model} {
		for i := range len(name) {
			h = (h ^ uint64(name[i])) * 1099511628211
		}
	}
	return product(h)
}

// allowIndex files allowances under each pair of maker and model that they name.
func allowIndex(statements []*Statement) map[product][]int32 {
	out := map[product][]int32{}
	for i, s := range statements {
		if s.Type != Allow {
			continue
		}
		for _, maker := range s.Product.manufacturers {
			for _, model := range s.Product.models {
				k := productOf(maker, model)
				out[k] = appendOnce(out[k], int32(i))
			}
		}
	}
	return out
}

// allowances calls look for each allowance that names the subject's product in some claim, in order of
// id, each once.
func (l *List) allowances(s *Subject, look func(int32, *Statement)) {
	var heads [mostFound][]int32
	lists := heads[:0]
	for i := range s.claims {
		c := &s.claims[i]
		if c.maker == "" || c.model == "" || c.repeats {
			continue
		}
		if p := l.allows[c.product]; len(p) > 0 {
			lists = append(lists, p)
		}
	}
	if len(lists) == 1 {
		for _, i := range lists[0] {
			look(i, l.statements[i])
		}
		return
	}
	for {
		least := int32(-1)
		for _, p := range lists {
			if len(p) > 0 && (least < 0 || p[0] < least) {
				least = p[0]
			}
		}
		if least < 0 {
			return
		}
		for k, p := range lists {
			if len(p) > 0 && p[0] == least {
				lists[k] = p[1:]
			}
		}
		look(least, l.statements[least])
	}
}

// portIndex finds the forbid_port statements of a port: for each transport, ordered boundaries and what
// holds between one and the next.
type portIndex struct{ tcp, udp []portSegment }

type portSegment struct {
	from       uint16
	statements []int32
}

func newPortIndex(statements []*Statement) portIndex {
	return portIndex{tcp: segmentsOf(statements, "tcp"), udp: segmentsOf(statements, "udp")}
}

func segmentsOf(statements []*Statement, transport string) []portSegment {
	edges := map[int]bool{0: true}
	for _, s := range statements {
		for _, r := range s.Ports {
			if s.Type == ForbidPort && r.Transport == transport {
				edges[int(r.From)], edges[int(r.To)+1] = true, true
			}
		}
	}
	var segments []portSegment
	for edge := range edges {
		if edge <= 65535 {
			segments = append(segments, portSegment{from: uint16(edge)})
		}
	}
	slices.SortFunc(segments, func(a, b portSegment) int { return int(a.from) - int(b.from) })
	for i, s := range statements {
		for _, r := range s.Ports {
			if s.Type != ForbidPort || r.Transport != transport {
				continue
			}
			k, _ := slices.BinarySearchFunc(segments, r.From, byPort)
			for ; k < len(segments) && segments[k].from <= r.To; k++ {
				segments[k].statements = appendOnce(segments[k].statements, int32(i))
			}
		}
	}
	return segments
}

func byPort(s portSegment, port uint16) int { return int(s.from) - int(port) }

func (p *portIndex) of(transport string, port uint16) []int32 {
	segments := p.udp
	if transport == "tcp" {
		segments = p.tcp
	}
	if len(segments) < 2 {
		if len(segments) == 0 {
			return nil
		}
		return segments[0].statements
	}
	k, exact := slices.BinarySearchFunc(segments, port, byPort)
	if !exact {
		k--
	}
	return segments[k].statements
}
