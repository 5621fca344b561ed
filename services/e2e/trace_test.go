package e2e_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// follow traces an event as the command does, and returns also what a person reads.
func (p *platform) follow(workspace, event string) (*trace.Journey, string) {
	p.T.Helper()
	finder := &trace.Finder{Log: app.TopicLog{Client: p.Kafka}, Outcomes: p.Config}
	journey, err := finder.Find(p.T.Context(), trace.Query{Workspace: workspace, EventID: event})
	require.NoError(p.T, err)
	var text bytes.Buffer
	journey.Render(&text)
	return journey, text.String()
}

func testTraceDelivered(t *testing.T, p *platform) {
	p.customer(rig.Customer{ID: "trace", Leads: []string{"mia@viewer.example", "mia@viewer.example"}, Contacts: []string{"mia@viewer.example"}})
	closed := rig.Closed("trace", "mia@viewer.example")
	p.Send(closed)
	p.Quiet()
	j, text := p.follow("trace", closed.ID)

	require.Equal(t, closed.ID, j.EventID)
	require.NotZero(t, j.Activity.GetSettingsRevision())
	require.NotEmpty(t, j.Visits)
	require.Equal(t, streamv1.VisitState_VISIT_STATE_CLOSED, j.Visits[0].Visit.GetState())
	require.NotEmpty(t, j.Engagements)
	require.NotEmpty(t, j.Resolved)
	resolution := j.Resolved[0].Resolved.GetResolution()
	require.Len(t, resolution.GetCandidates(), 3, "who was chosen, and who lost")
	for _, c := range resolution.GetCandidates() {
		require.NotEmpty(t, c.GetRule())
	}
	require.Equal(t, "Lead", resolution.GetPerson().GetObject())
	require.Len(t, j.Writes, 2, "the to-do and the row")
	written := map[string]string{}
	for _, o := range j.Outcomes {
		require.Equal(t, streamv1.Status_STATUS_WRITTEN, o.GetStatus())
		require.NotZero(t, o.GetIntegrationVersion())
		require.NotEmpty(t, o.GetRequest().GetRoute())
		require.EqualValues(t, 200, o.GetRequest().GetHttpStatus())
		written[o.GetObject()] = o.GetRecordId()
	}
	require.Equal(t, p.Records("trace", "Task")[0]["Id"], written["Task"])
	require.Equal(t, p.Records("trace", "Engagement__c")[0]["Id"], written["Engagement__c"])

	// One trace leads from the event to the records.
	require.NotEmpty(t, j.ActivityPlace.TraceParent)
	id := j.ActivityPlace.TraceParent[3:35]
	for _, place := range []trace.Place{j.Visits[0].Place, j.Engagements[0].Place, j.Resolved[0].Place, j.Writes[0].Place} {
		require.Equal(t, id, place.TraceParent[3:35], place.Topic)
	}
	require.Equal(t, id, p.Records("trace", "Task")[0]["Trace_Id__c"])
	for _, want := range []string{"accepted: document_closed", "closed:", "totals", "✓ Lead", "✗ Lead", "WRITTEN Task " + written["Task"], "settings revision", id} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "mia@", "a trace names nobody")
}

func testTraceEnded(t *testing.T, p *platform) {
	p.customer(rig.Customer{ID: "trace-ended"})
	rejected := &rig.Event{Workspace: "trace-ended", Type: "document.page_viewed", Data: map[string]any{"page": -1}}
	own := rig.Closed("trace-ended", "owner@viewer.example")
	own.Owner = "owner@viewer.example"
	stranger := rig.Watched("trace-ended", "stranger@viewer.example")
	nobody := rig.Closed("trace-ended", "")
	p.Send(rejected, own, stranger, nobody)
	p.Quiet()
	for name, ended := range map[*rig.Event]string{
		rejected: "REJECTED(BAD_SCHEMA)", own: "SKIPPED(OWN_VIEW)", stranger: "SKIPPED(NO_MATCH)", nobody: "SKIPPED(IDENTITY_UNKNOWN)",
	} {
		j, text := p.follow("trace-ended", name.ID)
		require.True(t, j.Found(), ended)
		require.Contains(t, text, ended)
		require.Empty(t, j.Writes)
	}
	_, text := p.follow("trace-ended", rejected.ID)
	require.Contains(t, text, "data.page", "what is wrong, and where")
	_, text = p.follow("trace-ended", stranger.ID)
	require.Contains(t, text, "NO_MATCH")
	_, text = p.follow("another", stranger.ID)
	require.Contains(t, text, "Nothing is known", "another workspace sees nothing of it")
}
