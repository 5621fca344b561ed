package intake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/intake"
	"github.com/throughline-dev/throughline/services/internal/plan"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const opened = `{"specversion":"1.0","id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c","source":"https://box.example",` +
	`"type":"throughline.document.opened.v1","time":"2026-11-23T09:10:11.123Z","workspace":"acme",` +
	`"session":"s-0123456789abcdef","data":{"content":{"id":"doc-1","title":"Offer","pageCount":3},` + viewer + `}}`

// downgraded is a workspace whose plan includes videos until a time.
func downgraded(t *testing.T, at time.Time) *testBundle {
	t.Helper()
	view := settingstest.New(t).Revision(7).Workspace("acme", func(w *configv1.Workspace) {
		w.Lapses = []*configv1.Lapse{{Source: plan.Video, From: timestamppb.New(at), Needed: []string{"enterprise"}}}
	}).Workspace("globex").View()
	return &testBundle{view: view, intake: intake.New(intake.DefaultLimits(), intake.NewSubjects(100), intake.Tracing{Ratio: 1})}
}

func TestWhatThePlanDoesNotIncludeIsSkippedFromItsTimeOn(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Parallel()
	happened := time.Date(2026, 11, 23, 9, 10, 11, 123e6, time.UTC)

	b := downgraded(t, happened)
	d := b.take(t, raw(progress))
	require.Equal(t, streamv1.Status_STATUS_SKIPPED, d.Status)
	require.Equal(t, streamv1.Reason_REASON_PLAN_NOT_ENTITLED, d.Reason)
	require.Equal(t, "the Salesforce integration for video takes the plan enterprise; change the plan to take in what happens from then on", d.Detail)
	require.False(t, d.Rejected(), "nothing goes to the dead letters, where the address would stay")
	require.Len(t, d.Messages, 1)
	m := d.Messages[0]
	require.Equal(t, topic.Outcomes, m.Topic)
	o := &streamv1.Outcome{}
	require.NoError(t, proto.Unmarshal(m.Value, o))
	require.Equal(t, "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", o.GetEventId())
	require.Equal(t, streamv1.Status_STATUS_SKIPPED, o.GetStatus())
	require.Empty(t, o.GetPersonKey(), "nobody has looked whom it is about")
	require.NotContains(t, strings.ToLower(string(m.Value)), "customer.example")

	b = downgraded(t, happened.Add(time.Nanosecond))
	activity(t, b.take(t, raw(progress))) // it happened before, however late it comes
	late := raw(progress)
	late.Now, late.Received = now.Add(24*time.Hour), now.Add(24*time.Hour)
	activity(t, b.take(t, late))

	b = downgraded(t, happened)
	activity(t, b.take(t, raw(opened))) // another source
	other := raw(strings.Replace(progress, `"acme"`, `"globex"`, 1))
	d = b.take(t, other)
	require.True(t, d.Accepted(), "another workspace's plan: %s", d.Detail)
}
