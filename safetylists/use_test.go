package safetylists_test

import (
	"strings"
	"testing"
	"time"

	. "primum/safetylists"
)

// H-046, H-002: a status of the CMMS is evidence where the site's own file names its words, while it is fresh, and
// nothing else of it ever is.
func TestAStatusOfTheCMMSIsEvidenceWhereTheSiteSaysSoAndWhileItIsFresh(t *testing.T) {
	files := []*File{velaFile(t, velaAllow)}
	const takes = "use_status: {not_in_use: [In Storage, out for repair]}\n"
	status := func(text string, age time.Duration) *CMMSStatus { return &CMMSStatus{Text: text, At: now().Add(-age)} }
	for name, c := range map[string]struct {
		site   string
		class  Class
		status *CMMSStatus
		word   *OutOfUse
		says   string // empty: asked
	}{
		"fresh, and named":             {site: takes, status: status("in  storage", time.Hour)},
		"of this moment":               {site: takes, status: status("OUT FOR REPAIR", 0)},
		"a day old":                    {site: takes, status: status("in storage", 24*time.Hour)},
		"a moment older":               {site: takes, status: status("in storage", 24*time.Hour+1), says: "too old"},
		"within the site's own limit":  {site: "use_status: {not_in_use: [in storage], fresh: 1h}\n", status: status("in storage", time.Hour)},
		"beyond the site's own limit":  {site: "use_status: {not_in_use: [in storage], fresh: 1h}\n", status: status("in storage", time.Hour+1), says: "too old"},
		"from the future":              {site: takes, status: status("in storage", -1), says: "future"},
		"another word":                 {site: takes, status: status("active", time.Hour), says: "active does not say so"},
		"part of a word":               {site: takes, status: status("in storage soon", time.Hour), says: "does not say so"},
		"without a time":               {site: takes, status: &CMMSStatus{Text: "in storage"}, says: "nobody has confirmed it"},
		"none":                         {site: takes, says: "nobody has confirmed it"},
		"the site takes none":          {status: status("in storage", time.Hour), says: "nobody has confirmed it, and the site file takes no CMMS status"},
		"of an unknown class":          {site: takes, class: "unset", status: status("in storage", time.Hour)},
		"old, and a person's word":     {site: takes, status: status("active", 0), word: &OutOfUse{By: "R", Until: now().Add(time.Hour)}},
		"fresh, and a word that ended": {site: takes, status: status("in storage", 0), word: &OutOfUse{By: "R", Until: now()}},
		"both ended":                   {site: takes, status: status("in storage", 25*time.Hour), word: &OutOfUse{By: "R", Until: now()}, says: "by R does not cover that time, and the CMMS status in storage is too old"},
	} {
		site := signedOffBy(files, Real, "M. Lindqvist")
		site.UseStatus = siteWith(t, c.site).UseStatus
		d := vela("1.2")
		d.Class, d.Status, d.OutOfUse = LifeSupport, c.status, c.word
		if c.class != "" {
			d.Class = ""
		}
		got := compile(t, files, site).Decide(d, ask(t), now())
		if got.Allowed() != (c.says == "") || !got.Allowed() && (got.Reason != InUseUnknown || !strings.Contains(got.Detail(), c.says)) {
			t.Errorf("%s: %s %s", name, got.Reason, got.Detail())
		}
	}
	for more, says := range map[string]string{
		"use_status: {fresh: 1h}\n":                                  "names no word",
		"use_status: {not_in_use: [\"\"]}\n":                         "empty",
		"use_status: {not_in_use: [a, A]}\n":                         "twice",
		"use_status: {not_in_use: [a], fresh: 73h}\n":                "fresh",
		"use_status: {not_in_use: [a], fresh: 4m}\n":                 "fresh",
		"use_status: {not_in_use: [a], fresh: soon}\n":               "fresh",
		"use_status: {in_use: [a]}\n":                                "in_use",
		"use_status: [in storage]\n":                                 "use_status",
		"use_status: {not_in_use: [a], fresh: 1h}\nuse_status: {}\n": "use_status",
		"use_status: {not_in_use: [a], fresh: \"-24h\"}\n":           "fresh",
		"use_status: {not_in_use: [a], fresh: 1h, grace: 1h}\n":      "grace",
	} {
		text, _ := siteText(t, more)
		if _, err := LoadSite([]byte(text), nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", more, err)
		}
	}
}
