package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// ownTopics is how the names of the pipeline's topics begin.
const ownTopics = "tl."

// maxSamples is how many records, and how many problems, a report shows.
const maxSamples = 5

// Report is what a run found and did.
type Report struct {
	DryRun bool `json:"dry_run"`
	// Read counts dead letters looked at, Matched those the filter means, Replayed those published to their topic.
	Read     int `json:"read"`
	Matched  int `json:"matched"`
	Replayed int `json:"replayed"`
	// Unreadable counts those that cannot be replayed; Problems says why, for the first few.
	Unreadable int      `json:"unreadable"`
	Problems   []string `json:"problems,omitempty"`
	// Counts is Matched by stage and reason, most first.
	Counts []Count `json:"counts"`
	// First are the first few that matched, in the order they were read.
	First []Sample `json:"first"`
	// Last is the last letter that was fed to its topic.
	Last *Sample `json:"last,omitempty"`
	// Stopped says why the run ended before it was done; "" when it was. Resume is the mark by which another run, with the
	// same filter, does the rest, and Unsure how many letters of that rest may have arrived although the publisher failed.
	Stopped string `json:"stopped,omitempty"`
	Resume  string `json:"resume,omitempty"`
	Unsure  int    `json:"unsure,omitempty"`
	// Oldest and Newest are when the first and the last of them were given up; zero when none matched.
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
}

// Count is how many dead letters one stage gave up for one reason.
type Count struct {
	Stage  string `json:"stage"`
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// Sample is one dead letter. Of the original's bytes it holds our own ids, and an event's if it can be nothing else (promise 8).
type Sample struct {
	ID        string `json:"dead_letter_id"`
	Workspace string `json:"workspace,omitempty"`
	// Connection, Event and Write are known as far as the original tells them; `throughline trace` takes the event.
	Connection string `json:"connection,omitempty"`
	Event      string `json:"event,omitempty"`
	Write      string `json:"write_key,omitempty"`
	// Trace is the id of the trace it was part of.
	Trace string `json:"trace_id,omitempty"`
	// Attempts is how often the stage tried.
	Attempts uint32    `json:"attempts,omitempty"`
	Stage    string    `json:"stage"`
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail,omitempty"`
	At       time.Time `json:"at"`
	Where    string    `json:"where"`
}

func newReport(dry bool) *Report { return &Report{DryRun: dry, Counts: []Count{}, First: []Sample{}} }

// match counts a letter that the filter means.
func (r *Report) match(l *streamv1.DeadLetter, about identity) *Sample {
	r.Matched++
	sample := newSample(l, about)
	at := sample.At
	if r.Oldest.IsZero() || at.Before(r.Oldest) {
		r.Oldest = at
	}
	if at.After(r.Newest) {
		r.Newest = at
	}
	if len(r.First) < maxSamples {
		r.First = append(r.First, *sample)
	}
	r.count(l.GetStage(), sample.Reason)
	return sample
}

func newSample(l *streamv1.DeadLetter, about identity) *Sample {
	sample := &Sample{
		ID: l.GetDeadLetterId(), Workspace: l.GetWorkspace(), Stage: l.GetStage(), Reason: reasonName(l), Detail: l.GetDetail(),
		At: l.GetAt().AsTime(), Connection: about.connection, Event: about.event, Write: about.write, Trace: about.trace,
		Attempts: l.GetAttempts(), Where: fmt.Sprintf("%s/%d@%d", l.GetTopic(), l.GetPartition(), l.GetOffset()),
	}
	if uuid.Validate(about.event) != nil && !strings.HasPrefix(l.GetTopic(), ownTopics) {
		sample.Event = "" // a producer's text, which nobody has checked
	}
	return sample
}

func (r *Report) count(stage, reason string) {
	i := slices.IndexFunc(r.Counts, func(c Count) bool { return c.Stage == stage && c.Reason == reason })
	if i < 0 {
		i = len(r.Counts)
		r.Counts = append(r.Counts, Count{Stage: stage, Reason: reason})
	}
	r.Counts[i].Count++
	slices.SortStableFunc(r.Counts, func(a, b Count) int { return cmp.Compare(b.Count, a.Count) })
}

// stop notes why a run ended early, and where.
func (r *Report) stop(why error, resume string) {
	r.Stopped, r.Resume = why.Error(), resume
	if errors.Is(why, context.Canceled) {
		r.Stopped = "interrupted"
	}
}

func (r *Report) unreadable(problem string) {
	r.Unreadable++
	if len(r.Problems) < maxSamples {
		r.Problems = append(r.Problems, problem)
	}
}

// Render prints the report for a person.
func (r *Report) Render(w io.Writer) {
	if r.Matched == 0 {
		fmt.Fprintf(w, "None of %d dead letters matches.\n", r.Read)
	} else {
		r.renderTables(w)
	}
	if r.Unreadable > 0 {
		fmt.Fprintf(w, "%d cannot be replayed:\n", r.Unreadable)
		for _, p := range r.Problems {
			fmt.Fprintln(w, "  "+p)
		}
	}
	switch {
	case !r.DryRun:
		r.renderDone(w)
	case r.Stopped != "":
		fmt.Fprintln(w, "Stopped before everything was counted: "+r.Stopped)
	case r.Matched > 0:
		fmt.Fprintln(w, "Nothing was changed: this was a dry run. Replay them with --yes.")
	}
}

func (r *Report) renderDone(w io.Writer) {
	if r.Last != nil {
		fmt.Fprintf(w, "The last one fed to its topic was %s, given up %s.\n", r.Last.ID, r.Last.At.Format(time.RFC3339))
	}
	if r.Stopped == "" {
		fmt.Fprintf(w, "%d records replayed to their topics.\n", r.Replayed)
		return
	}
	fmt.Fprintf(w, "Stopped after %d records were replayed to their topics: %s\n", r.Replayed, r.Stopped)
	if r.Unsure > 0 {
		fmt.Fprintf(w, "%d more may have arrived; replayed again they have the same keys, so that nothing happens twice.\n", r.Unsure)
	}
}

func (r *Report) renderTables(w io.Writer) {
	counts := screen.NewTable(w, "stage", "reason", "count")
	for _, c := range r.Counts {
		counts.AppendRow(screen.Row{c.Stage, c.Reason, c.Count})
	}
	counts.AppendFooter(screen.Row{"", "", r.Matched})
	counts.Render()
	fmt.Fprintf(w, "oldest %s, newest %s; the first:\n", r.Oldest.Format(time.RFC3339), r.Newest.Format(time.RFC3339))
	first := screen.NewTable(w, "given up", "workspace", "stage", "reason", "attempts", "event", "where", "detail")
	for _, s := range r.First {
		first.AppendRow(screen.Row{s.At.Format(time.RFC3339), s.Workspace, s.Stage, s.Reason, s.Attempts, s.Event, s.Where, s.Detail})
	}
	first.Render()
}
