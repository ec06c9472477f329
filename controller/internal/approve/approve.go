// Package approve turns approved plans into permits. It checks the approvers' signatures against the
// site file, whether a standing approval covers a plan, and signs permits with the controller's key
// at the moment they go out. It can narrow what people approved and never widen it (DESIGN 4, lock 2).
package approve

import (
	"fmt"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

// Life is how long a permit is good for.
const Life = permit.MaxLife

// Signature checks one approver's signature over a document.
func Signature(site list.Site, domain permit.Domain, document []byte, sig permit.Signature) *list.Refusal {
	key, ok := site.Approvers[sig.By]
	if !ok {
		return list.Refuse(list.PlanNotApproved, fmt.Sprintf("%s is not an approver of site %s", sig.By, site.Name))
	}
	if err := permit.Verify(domain, key, document, sig.Sig); err != nil {
		return list.Refuse(list.PlanNotApproved, fmt.Sprintf("the signature of %s does not belong to this document: it was made with another key than the site file has under that name, or over another document", sig.By))
	}
	return nil
}

// Enough checks that distinct approvers of the site signed, as many as the site asks for.
func Enough(site list.Site, domain permit.Domain, document []byte, sigs []permit.Signature) *list.Refusal {
	if site.MinApprovers < 1 {
		return list.Refuse(list.PlanNotApproved, "the site file names no approvers")
	}
	signed := map[string]bool{}
	for _, sig := range sigs {
		if no := Signature(site, domain, document, sig); no != nil {
			return no
		}
		signed[sig.By] = true
	}
	if len(signed) < site.MinApprovers {
		return list.Refuse(list.PlanNotApproved, fmt.Sprintf("%d of %d approvers have signed", len(signed), site.MinApprovers))
	}
	return nil
}

// Leave is the approval of a plan: signatures on the plan itself, or a standing approval.
type Leave struct {
	Plan     []permit.Signature
	Standing []byte // canonical document, empty if the plan was signed itself
	Signed   []permit.Signature
}

// Covers checks that the leave carries the plan at a moment. The zero leave carries nothing.
func (l Leave) Covers(site list.Site, document []byte, at time.Time) *list.Refusal {
	if len(l.Standing) == 0 {
		return Enough(site, permit.DomainPlan, document, l.Plan)
	}
	standing, no := Standing(site, l.Standing, l.Signed)
	if no != nil {
		return no
	}
	p, _, err := permit.DecodePlan(document)
	if err != nil {
		return list.Refuse(list.PlanNotApproved, err.Error())
	}
	return standing.Covers(p, at)
}

// Standing opens a standing approval with its signatures.
func Standing(site list.Site, document []byte, sigs []permit.Signature) (permit.Standing, *list.Refusal) {
	s, _, err := permit.DecodeStanding(document)
	if err != nil {
		return permit.Standing{}, list.Refuse(list.PlanNotApproved, err.Error())
	}
	if no := Enough(site, permit.DomainStanding, document, sigs); no != nil {
		return permit.Standing{}, no
	}
	return s, nil
}
