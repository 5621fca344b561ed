package demo

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/throughline-dev/throughline/services/internal/screen"
)

// Summary is the result of a demo; its JSON form is the last line that `throughline demo` prints.
type Summary struct {
	// EventsIn were read from the customer topic.
	EventsIn int64 `json:"events_in"`
	// Engagements is how many people-with-a-content there are totals for.
	Engagements int64 `json:"engagements"`
	// Written records, as the orgs hold them in the end.
	Written int64 `json:"written"`
	// Skipped, Parked and Failed count outcomes; a parked write that was written later is not parked any more.
	Skipped int64 `json:"skipped"`
	Parked  int64 `json:"parked"`
	Failed  int64 `json:"failed"`
	// Lost and Duplicates are the oracle's verdict on the orgs' final records.
	Lost       int `json:"lost"`
	Duplicates int `json:"duplicates"`
	// SalesforceCalls is how many API calls the orgs answered.
	SalesforceCalls int64 `json:"salesforce_calls"`
	// ElapsedS is from the first event sent to the last record written; EventsPerS is EventsIn over it.
	ElapsedS   float64 `json:"elapsed_s"`
	EventsPerS float64 `json:"events_per_s"`
}

// OK reports whether nothing was lost, doubled or left lying about.
func (s Summary) OK() bool { return s.Lost == 0 && s.Duplicates == 0 && s.Parked == 0 }

// render prints the summary for a person.
func (s Summary) render(w io.Writer, reasons map[string]int64) {
	t := screen.NewTable(w).RightAlign(2)
	t.SetTitle("What became of %s events", screen.Count(s.EventsIn))
	t.AppendRows([]screen.Row{
		{"engagements (a person with a content)", screen.Count(s.Engagements)},
		{"records written", screen.Count(s.Written)},
		{"Salesforce calls", screen.Count(s.SalesforceCalls)},
		{"time, from the first event to the last record", fmt.Sprintf("%.1f s", s.ElapsedS)},
		{"events per second", screen.Count(int64(s.EventsPerS))},
	})
	t.AppendSeparator()
	for _, k := range slices.Sorted(maps.Keys(reasons)) {
		t.AppendRow(screen.Row{k, screen.Count(reasons[k])})
	}
	t.AppendSeparator()
	t.AppendRows([]screen.Row{{"lost", screen.Count(int64(s.Lost))}, {"duplicates", screen.Count(int64(s.Duplicates))}})
	t.Render()
}
