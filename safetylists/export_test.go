package safetylists

import "time"

// DecideByLookingAtAll is the decision without the index: the reference that the index is held against.
// It looks at every statement for each step.
func (l *List) DecideByLookingAtAll(d Device, q Query, at time.Time) Decision {
	whole := *l
	all := func(of *index) *index {
		return &index{odd: of.every, every: of.every}
	}
	whole.denials, whole.hazards, whole.notes = all(l.denials), all(l.hazards), all(l.notes)
	var ports []int32
	for i, s := range l.statements {
		if s.Type == ForbidPort && s.forbids(q.Kind().Transport(), q.Port()) {
			ports = append(ports, int32(i))
		}
	}
	segments := []portSegment{{from: 0, statements: ports}}
	whole.ports = portIndex{tcp: segments, udp: segments}
	whole.allows = map[product][]int32{}
	s := Know(d)
	for i, st := range l.statements {
		if st.Type != Allow {
			continue
		}
		for k := range s.claims {
			c := &s.claims[k]
			if st.Product.certain(c) == Yes {
				p := productOf(c.maker, c.model)
				whole.allows[p] = appendOnce(whole.allows[p], int32(i))
			}
		}
	}
	return whole.DecideKnown(&s, q, at)
}
