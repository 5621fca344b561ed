package decide_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

// What people told Salesforce about their data decides before any integration does.
func TestWhoOptedOutIsNotWrittenAbout(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-32")
	says := func(p *streamv1.Preferences) *streamv1.Preferences {
		p.Object, p.RecordId = "Lead", "00Q000000000001AAA"
		return p
	}
	for name, tc := range map[string]struct {
		said     *streamv1.Preferences
		settings *configv1.PreferenceSettings
		skipped  bool
	}{
		"nothing said":       {nil, nil, false},
		"do not track":       {says(&streamv1.Preferences{OptedOutTracking: true}), nil, true},
		"do not process":     {says(&streamv1.Preferences{OptedOutProcessing: true}), nil, true},
		"forget":             {says(&streamv1.Preferences{ShouldForget: true}), nil, true},
		"ignored":            {says(&streamv1.Preferences{OptedOutTracking: true}), &configv1.PreferenceSettings{Ignore: true}, false},
		"another source":     {says(&streamv1.Preferences{OptedOutTracking: true}), &configv1.PreferenceSettings{Sources: []string{"video", "call"}}, false},
		"this source":        {says(&streamv1.Preferences{OptedOutTracking: true}), &configv1.PreferenceSettings{Sources: []string{"document"}}, true},
		"a list of defaults": {says(&streamv1.Preferences{OptedOutTracking: true}), &configv1.PreferenceSettings{}, true},
	} {
		b := setup(t, build(t, "document-close-task"), build(t, "document-engagement"))
		b.workspace.Proto().Preferences = tc.settings
		in := integrationtest.Document()
		in.Resolved.Resolution.Preferences = tc.said
		result := b.run(t, b.seal(t, in))
		if !tc.skipped {
			require.Len(t, result.Writes, 2, name)
			continue
		}
		require.Empty(t, result.Writes, name)
		require.Len(t, result.Outcomes, 1, name)
		o := result.Outcomes[0]
		require.Equal(t, streamv1.Status_STATUS_SKIPPED, o.GetStatus(), name)
		require.Equal(t, streamv1.Reason_REASON_OPTED_OUT, o.GetReason(), name)
		require.Contains(t, o.GetDetail(), "00Q000000000001AAA", name)
		require.Equal(t, tc.said.GetShouldForget(), o.GetForget() != nil, name)
	}
}

func TestAnOpenVisitOfWhoOptedOutIsNotToldYet(t *testing.T) {
	t.Parallel()
	b := setup(t, build(t, "document-engagement"))
	in := integrationtest.Document()
	in.Resolved.Resolution.Preferences = &streamv1.Preferences{ShouldForget: true, Object: "Lead", RecordId: "00Q000000000001AAA"}
	in.Resolved.Engagement.Visit.State = streamv1.VisitState_VISIT_STATE_OPEN
	result := b.run(t, b.seal(t, in))
	require.Empty(t, result.Writes)
	require.Empty(t, result.Outcomes)
	require.Equal(t, 1, result.Refused[streamv1.Reason_REASON_OPTED_OUT])
}
