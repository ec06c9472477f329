package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"primum/controller/internal/store"
	list "primum/safetylists"
)

// waitsOut is how long a question is not looked at again that another order has out.
const waitsOut = 5 * time.Second

// awake leaves out the questions whose device rests from the same one, or is being asked it. An agent knows the rests of its own questions;
// those of another agent, and its own after it was enrolled anew, only the controller knows, and a plan was made before they began (G8,
// H-049). A question whose rest ends within the approved time waits for it.
func (ses *session) awake(ctx context.Context, run store.Run, l *loaded, items []int) (awake []int, err error) {
	if l.rests == nil {
		l.rests = map[int]time.Time{}
	}
	if err := ses.kin(ctx, l); err != nil {
		return nil, err
	}
	for _, item := range items {
		it := l.plan.Items[item]
		last, err := ses.Store.LastAsked(ctx, l.twins(it.Device), it.Query.String())
		if err != nil {
			return nil, err
		}
		until := last.At.Add(it.Limits.Rest)
		if last.At.IsZero() || !last.Out && !ses.Now().Before(until) {
			awake = append(awake, item)
			continue
		}
		as := ""
		if last.Tag != it.Device.ID { // who reads it may not know why these two are one
			as = " as " + last.Tag + ", the same device by an address or network card in the inventory,"
		}
		words := fmt.Sprintf("%s has asked it%s at %s UTC, and it rests until %s UTC", cmp.Or(strings.TrimSuffix("agents/"+last.Agent, "agents/"), "an agent"), as, last.At.UTC().Format(time.DateTime), until.UTC().Format(time.DateTime))
		say := ses.Store.Say
		switch {
		case last.Out:
			words, until = "agents/"+last.Agent+" has the same question for it"+cmp.Or(as, ",")+" and has not told what became of it", ses.Now().Add(waitsOut)
		case !until.Before(run.Closes):
			say = func(ctx context.Context, run string, items []int, reason, why string) error {
				return ses.Store.Refuse(ctx, run, items, reason, why, ses.Now())
			}
		}
		l.rests[item] = until
		if err := say(ctx, run.Name, []int{item}, string(list.MinInterval), words); err != nil {
			return nil, err
		}
		ses.Bell.Ring()
	}
	return awake, nil
}

// rested leaves out what is known to rest.
func (ses *session) rested(l *loaded, items []int) []int {
	now := ses.Now()
	return slices.DeleteFunc(slices.Clone(items), func(item int) bool { return now.Before(l.rests[item]) })
}

// kin has a plan know which tags are of one device, by the inventory as it is.
func (ses *session) kin(ctx context.Context, l *loaded) error {
	kin, err := ses.Store.Kin(ctx)
	if err != nil || l.kin == kin {
		return err
	}
	devices, err := ses.Store.Devices(ctx, "", 0)
	if err != nil {
		return err
	}
	l.kin, l.tags, l.names = kin, map[string][]string{}, map[string][]string{}
	for _, x := range devices {
		l.names[x.Tag] = list.Reached(x.Tag, x.Cells["ip"], x.Cells["mac"])
		for _, name := range l.names[x.Tag] {
			l.tags[name] = append(l.tags[name], x.Tag)
		}
	}
	return nil
}

// twins are all the asset tags of a physical device, its own first (G9).
func (l *loaded) twins(d list.Device) []string {
	// those of a twin's twin too, each name looked at once: a network card that is wrongly that of thousands makes one device of them
	out, names := []string{d.ID}, slices.Concat(list.Reached(d.ID, d.Address.String(), d.MAC), l.names[d.ID])
	in, looked := map[string]bool{d.ID: true}, map[string]bool{}
	for ; len(names) > 0; names = names[1:] {
		if looked[names[0]] {
			continue
		}
		looked[names[0]] = true
		for _, tag := range l.tags[names[0]] {
			if !in[tag] {
				in[tag] = true
				out, names = append(out, tag), append(names, l.names[tag]...)
			}
		}
	}
	return out
}
