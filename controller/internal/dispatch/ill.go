package dispatch

import (
	"context"

	list "primum/safetylists"
)

// well returns the items whose device is not in distress, by what any agent saw: another one knows nothing of it and would ask it, and the
// one that saw it may have been enrolled anew since (H-037). What another agent saw may be cleared in time, and a word that clears it may be
// on its way.
func (ses *session) well(ctx context.Context, run string, l *loaded, items []int) (well []int, err error) {
	ill, err := ses.Store.Ill(ctx)
	if err != nil || len(ill) == 0 {
		return items, err
	}
	said, refused := map[string][]int{}, map[string][]int{}
	for _, item := range items {
		tag := l.plan.Items[item].Device.ID
		x, is := ill[tag]
		as := ""
		if x.Device != tag {
			as = " as " + x.Device
		}
		words := "it was in distress, or had an incident, when agents/" + x.Agent + " asked it" + as + ", and nobody has cleared it"
		if x.Clearing {
			words = x.Device + " was cleared, and agents/" + x.Agent + " has not taken that yet: it does when it has a session"
		}
		switch key := waiting(item); {
		case !is:
			well = append(well, item)
		case x.Agent == ses.agent && !x.Clearing:
			words = "it was in distress, or had an incident, when it was asked before" + as + ", and nobody has cleared it"
			refused[words] = append(refused[words], item)
		case l.said[key] != words:
			l.said[key] = words
			said[words] = append(said[words], item)
		}
	}
	for words, items := range said {
		if err := ses.Store.Say(ctx, run, items, string(list.Quarantined), words); err != nil {
			return nil, err
		}
	}
	for words, items := range refused {
		ses.Bell.Ring()
		if err := ses.Store.Refuse(ctx, run, items, string(list.Quarantined), words, ses.Now()); err != nil {
			return nil, err
		}
	}
	return well, nil
}
