package demo

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
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
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.SetTitle("What became of %d events", s.EventsIn)
	t.AppendRows([]table.Row{
		{"engagements (a person with a content)", s.Engagements},
		{"records written", s.Written},
		{"Salesforce calls", s.SalesforceCalls},
		{"time", fmt.Sprintf("%.1f s, %.0f events/s", s.ElapsedS, s.EventsPerS)},
	})
	t.AppendSeparator()
	for _, k := range slices.Sorted(maps.Keys(reasons)) {
		t.AppendRow(table.Row{k, reasons[k]})
	}
	t.AppendSeparator()
	t.AppendRows([]table.Row{{"lost", s.Lost}, {"duplicates", s.Duplicates}})
	t.Render()
}
