package api

import (
	"maps"
	"slices"
	"strings"

	list "primum/safetylists"
)

// approvers refuses a name that the site file does not have: a mistyped one is no missing approval.
func approvers(site list.Site, names ...string) error {
	for _, name := range names {
		if _, ok := site.Approvers[name]; !ok {
			return bad("%s is not an approver of site %s; its site file names %s. Nothing was signed.", name, site.Name, strings.Join(slices.Sorted(maps.Keys(site.Approvers)), ", "))
		}
	}
	return nil
}
