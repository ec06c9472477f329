package dispatch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"primum/controller/internal/store"
	"primum/controller/internal/wave"
	list "primum/safetylists"
	"primum/safetylists/permit"
)

// member is what puts an item of a plan into a wave.
type member struct {
	wave   string // of its model, version and allowance
	models []model
}

type model struct{ manufacturer, name string }

// members says of each item of a plan in which wave it is. A model keeps its standing until its list entry or its
// firmware changes: both are in the name of the wave.
func members(p permit.Plan, l *list.List) []member {
	out := make([]member, len(p.Items))
	for i, it := range p.Items {
		parts := []string{string(it.Query.Kind())}
		for _, c := range it.Device.Claims {
			out[i].models = append(out[i].models, model{c.Manufacturer, c.Model})
			parts = append(parts, plain(c.Manufacturer)+"/"+plain(c.Model)+" "+plain(c.Version))
		}
		for _, id := range it.Statements {
			parts = append(parts, id)
			if st := l.Statement(id); st != nil {
				parts = append(parts, hex.EncodeToString(st.Digest[:]))
			}
		}
		slices.Sort(parts[1:])
		sum := sha256.Sum256([]byte(strings.Join(slices.Compact(parts), "\n")))
		out[i].wave = hex.EncodeToString(sum[:])
	}
	return out
}

func plain(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// waves picks, of items that no hold covers, those whose wave has room, at most one order of them. Of the
// others it writes why they wait.
func (ses *session) waves(ctx context.Context, run string, l *loaded, items []int) (now []int, in []store.Wave, err error) {
	devices := map[string]int{}
	for _, m := range l.members {
		devices[m.wave]++
	}
	left := map[string]int{}
	at := map[string]int{} // of a wave in the order
	why := map[string]string{}
	waiting := map[string][]int{}
	for _, item := range items {
		m := l.members[item]
		if l.proven[m.wave] {
			if len(now) < batch {
				now = append(now, item)
			}
			continue
		}
		if _, known := left[m.wave]; !known {
			leave, sent, err := ses.leave(ctx, m, devices[m.wave])
			if err != nil {
				return nil, nil, err
			}
			left[m.wave], why[m.wave] = leave.Devices, leave.Why
			if leave.All {
				left[m.wave] = len(l.plan.Items)
				l.proven[m.wave] = true
			}
			at[m.wave] = len(in)
			in = append(in, store.Wave{Name: m.wave, Sent: sent, Items: map[int]string{}})
		}
		switch {
		case left[m.wave] == 0:
			waiting[m.wave] = append(waiting[m.wave], item)
		case len(now) < batch:
			left[m.wave]--
			now = append(now, item)
			in[at[m.wave]].Items[item] = l.plan.Items[item].Device.ID
		}
	}
	for w, items := range waiting {
		if why[w] == "" || l.said[w] == why[w] {
			continue
		}
		l.said[w] = why[w]
		if err := ses.Store.Say(ctx, run, items, string(list.WaveWaits), why[w]); err != nil {
			return nil, nil, err
		}
	}
	return now, slices.DeleteFunc(in, func(w store.Wave) bool { return len(w.Items) == 0 }), nil
}

// leave is how much further the question of an item may go.
func (ses *session) leave(ctx context.Context, m member, devices int) (wave.Leave, uint64, error) {
	r, _, no := ses.Safety.Current(ses.Now())
	if no != nil {
		return wave.Leave{Why: no.Detail}, 0, nil
	}
	kept, sent, err := ses.Store.WaveVisits(ctx, m.wave)
	if err != nil {
		return wave.Leave{}, 0, err
	}
	reach := wave.Reach{}
	for i, x := range m.models {
		if slices.Contains(m.models[:i], x) {
			continue
		}
		n, err := ses.Store.CountModel(ctx, x.manufacturer, x.name)
		if err != nil {
			return wave.Leave{}, 0, err
		}
		reach.Known += n
	}
	visits := latest(kept)
	reach.Asked = max(devices, len(visits))
	return wave.Next(visits, reach, r.List.Site().Watch(), ses.Now()), sent, nil
}

// latest is one visit of each device: the newest that says something, and what is under way or ill before all.
func latest(kept []store.WaveVisit) []wave.Visit {
	states := map[string]wave.State{"DISPATCHED": wave.Out, "ANSWERED": wave.Well, "DECLINED": wave.Well, "DISTRESS": wave.Ill, "INCIDENT": wave.Ill}
	byDevice := map[string]wave.Visit{}
	for _, k := range kept {
		state, ok := states[k.State]
		if !ok || state == wave.Ill && k.Cleared {
			state = wave.Mute
		}
		old, known := byDevice[k.Device]
		switch {
		case known && (old.State == wave.Ill || old.State == wave.Well && state != wave.Ill):
			// the first time that it was well is what began its watch
		case known && old.State == wave.Out && state == wave.Mute:
		default:
			byDevice[k.Device] = wave.Visit{Device: k.Device, State: state, At: k.Finished}
		}
	}
	var out []wave.Visit
	for _, v := range byDevice {
		out = append(out, v)
	}
	return out
}
