package oracle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Report is the verdict.
type Report struct {
	// Expected records, rows and to-dos together. Rows that need not exist are not among them.
	Expected int `json:"expected"`
	// Written records found in the orgs.
	Written int `json:"written"`
	// Lost counts expected records that are missing or hold something else.
	Lost int `json:"lost"`
	// Duplicates counts records beyond the expected ones, also of people and contents nobody expected.
	Duplicates int `json:"duplicates"`
	// Wrong says what is different, record by record; at most maxDifferences.
	Wrong []Difference `json:"wrong,omitempty"`
	// Missing and Extra name records, at most maxDifferences each.
	Missing []string `json:"missing,omitempty"`
	Extra   []string `json:"extra,omitempty"`
}

// maxDifferences bounds each list of a report. The counts are always complete.
const maxDifferences = 200

// Difference is one field that holds something else.
type Difference struct {
	Org    string `json:"org"`
	Object string `json:"object"`
	// Record is the viewer and content it is about.
	Record string `json:"record"`
	Field  string `json:"field"`
	Want   string `json:"want"`
	Got    string `json:"got"`
}

// OK reports that nothing was lost, wrong or doubled.
func (r *Report) OK() bool { return r.Lost == 0 && r.Duplicates == 0 }

// String lists what is not right, a line per finding, after a line of counts.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "expected %d, written %d, lost %d, duplicates %d\n", r.Expected, r.Written, r.Lost, r.Duplicates)
	for _, m := range r.Missing {
		fmt.Fprintf(&b, "missing: %s\n", m)
	}
	for _, d := range r.Wrong {
		fmt.Fprintf(&b, "wrong: %s %s %s: %s is %q, want %q\n", d.Org, d.Object, d.Record, d.Field, d.Got, d.Want)
	}
	for _, e := range r.Extra {
		fmt.Fprintf(&b, "extra: %s\n", e)
	}
	return b.String()
}

func (r *Report) missing(name string) {
	r.Lost++
	if len(r.Missing) < maxDifferences {
		r.Missing = append(r.Missing, name)
	}
}

func (r *Report) extra(name string) {
	r.Duplicates++
	if len(r.Extra) < maxDifferences {
		r.Extra = append(r.Extra, name)
	}
}

func (r *Report) wrong(differences []Difference) {
	if len(differences) == 0 {
		return
	}
	r.Lost++
	if room := maxDifferences - len(r.Wrong); room > 0 {
		r.Wrong = append(r.Wrong, differences[:min(room, len(differences))]...)
	}
}

func (r *Report) sort() {
	slices.Sort(r.Missing)
	slices.Sort(r.Extra)
	slices.SortStableFunc(r.Wrong, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Org, b.Org), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Record, b.Record))
	})
}
