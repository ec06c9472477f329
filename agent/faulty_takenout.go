//go:build primum_takenout

package agent

import (
	"os"

	probev1 "primum/proto/probe/v1"
)

// told makes a faulty probe where the environment asks for one: it asks for sysContact.0, which nobody
// approved. This file is compiled into the test build of "make demo-negative" only.
func told(q *probev1.Start) *probev1.Start {
	if get := q.GetSnmpGet(); get != nil && os.Getenv("PRIMUM_FAULTY_PROBE") != "" {
		get.Oids = append([]string{"1.3.6.1.2.1.1.4.0"}, get.GetOids()[1:]...)
	}
	return q
}
