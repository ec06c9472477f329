package dispatch

import (
	"context"
	"errors"

	"primum/controller/internal/store"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/permit"
)

// credentials are what the agent needs for these items and for nothing else: it keeps none (H-026). A device
// without one is left to the agent, which refuses it with a reason.
func (ses *session) credentials(ctx context.Context, p permit.Plan, items []int) ([]*controlv1.Secret, error) {
	var out []*controlv1.Secret
	have := map[string]bool{}
	for _, i := range items {
		q := p.Items[i].Query
		if q.Kind() != list.SNMPGet {
			continue
		}
		kind := store.SecretCommunity
		if q.Spec().SNMPVersion == list.SNMPv3 {
			kind = store.SecretUSM
		}
		x, err := ses.Store.SecretFor(ctx, ses.agent, p.Items[i].Device.ID, kind)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if name := x.Kind + " " + x.Device; !have[name] {
			have[name] = true
			out = append(out, sealed(x))
		}
	}
	return out, nil
}

func sealed(x store.Secret) *controlv1.Secret {
	kind := controlv1.Secret_KIND_COMMUNITY
	if x.Kind == store.SecretUSM {
		kind = controlv1.Secret_KIND_USM
	}
	return &controlv1.Secret{Device: x.Device, Sealed: x.Sealed, Version: x.Version, Kind: kind}
}

// kindOf is the kind of a credential that an agent speaks of, empty for one that does not exist.
func kindOf(k controlv1.Secret_Kind) string {
	switch k {
	case controlv1.Secret_KIND_COMMUNITY:
		return store.SecretCommunity
	case controlv1.Secret_KIND_USM:
		return store.SecretUSM
	default:
		return ""
	}
}
