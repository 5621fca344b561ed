package integration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

// sitting is a visit of the same person to the same document that closed at the given time (UTC).
func sitting(t *testing.T, id, closed string, change ...func(*streamv1.Visit)) *integration.Input {
	t.Helper()
	at, err := time.Parse(time.RFC3339, closed)
	require.NoError(t, err)
	in := integrationtest.Document()
	v := in.Resolved.Engagement.Visit
	v.VisitId, v.LastActivityAt, v.FirstClosedAt = id, timestamppb.New(at), timestamppb.New(at)
	for _, c := range change {
		c(v)
	}
	return in
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	limited := func(repeat configv1.Repeat, change ...func(*configv1.Integration)) *configv1.Integration {
		i := task(chain(recordOwner), constant("Subject", "s"))
		i.Actions[0].Repeat = repeat
		for _, c := range change {
			c(i)
		}
		return i
	}
	business := func(i *configv1.Integration, in *integration.Input) string {
		t.Helper()
		_, record := write(t, i, in)
		require.True(t, record.Once)
		return record.Business
	}
	const everyVisit, oncePerDay, onceEver = configv1.Repeat_REPEAT_EVERY_VISIT, configv1.Repeat_REPEAT_ONCE_PER_DAY, configv1.Repeat_REPEAT_ONCE_EVER

	t.Run("every visit is the default", func(t *testing.T) {
		t.Parallel()
		for _, repeat := range []configv1.Repeat{configv1.Repeat_REPEAT_UNSPECIFIED, everyVisit} {
			require.Equal(t, "v1", business(limited(repeat), sitting(t, "v1", "2026-03-01T15:30:00Z")))
			require.Equal(t, "v2", business(limited(repeat), sitting(t, "v2", "2026-03-01T15:31:00Z")))
		}
	})
	t.Run("once per day", func(t *testing.T) {
		t.Parallel()
		daily := limited(oncePerDay)
		evening := business(daily, sitting(t, "v1", "2026-03-01T14:59:59Z"))
		require.Equal(t, "engagement-1/2026-03-01", evening, "the org is in Japan")
		require.Equal(t, evening, business(daily, sitting(t, "v2", "2026-02-28T15:00:00Z")))
		require.NotEqual(t, evening, business(daily, sitting(t, "v3", "2026-03-01T15:00:00Z")), "it is the next day there")
		utc := limited(oncePerDay, func(i *configv1.Integration) { i.Actions[0].Assignment.TimeZone = "UTC" })
		require.Equal(t, evening, business(utc, sitting(t, "v3", "2026-03-01T15:00:00Z")), "in the action's zone it is the same day")
	})
	t.Run("a visit that goes on after midnight stays one", func(t *testing.T) {
		t.Parallel()
		again := sitting(t, "v1", "2026-03-01T14:59:59Z", func(v *streamv1.Visit) {
			v.LastActivityAt = timestamppb.New(v.GetLastActivityAt().AsTime().Add(time.Hour))
		})
		require.Equal(t, "engagement-1/2026-03-01", business(limited(oncePerDay), again))
	})
	t.Run("an older program's visit has no first close", func(t *testing.T) {
		t.Parallel()
		old := sitting(t, "v1", "2026-03-01T14:59:59Z", func(v *streamv1.Visit) { v.FirstClosedAt = nil })
		require.Equal(t, "engagement-1/2026-03-01", business(limited(oncePerDay), old))
	})
	t.Run("an opened visit counts for the day it began", func(t *testing.T) {
		t.Parallel()
		opened := limited(oncePerDay, func(i *configv1.Integration) { i.Trigger = configv1.Trigger_TRIGGER_VISIT_OPENED })
		in := sitting(t, "v1", "2026-03-01T15:01:00Z", func(v *streamv1.Visit) {
			v.StartedAt = timestamppb.New(v.GetLastActivityAt().AsTime().Add(-2 * time.Minute))
		})
		require.Equal(t, "engagement-1/2026-03-01", business(opened, in))
	})
	t.Run("the assignee's zone does not move the day of the key", func(t *testing.T) {
		t.Parallel()
		theirs := limited(oncePerDay, func(i *configv1.Integration) { i.Actions[0].Assignment.ZoneRule = configv1.ZoneRule_ZONE_RULE_ASSIGNEE })
		in := sitting(t, "v1", "2026-03-01T14:59:59Z")
		in.Resolved.Resolution.Person.OwnerTimeZone = "Pacific/Kiritimati"
		require.Equal(t, "engagement-1/2026-03-01", business(theirs, in))
	})
	t.Run("once ever", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "engagement-1", business(limited(onceEver), sitting(t, "v1", "2026-03-01T15:30:00Z")))
		require.Equal(t, "engagement-1", business(limited(onceEver), sitting(t, "v2", "2027-03-01T15:30:00Z")))
	})
	t.Run("what was told of while nobody knew the viewer keeps its own record", func(t *testing.T) {
		t.Parallel()
		told := func(v *streamv1.Visit) { v.ToldUnknown = true }
		for _, repeat := range []configv1.Repeat{everyVisit, oncePerDay, onceEver} {
			i := limited(repeat, func(i *configv1.Integration) {
				i.Actions[0].Assignment = chain(documentOwner)
				i.Actions[0].Assignment.UnknownViewers = true
			})
			unknown := sitting(t, "v1", "2026-03-01T15:30:00Z", told)
			unknown.Viewer, unknown.Resolved.Engagement.Subject = nil, nil
			known := sitting(t, "v1", "2026-03-01T15:30:00Z", told)
			require.Equal(t, business(i, unknown), business(i, known), "so that it is not made twice")
		}
		other := limited(onceEver) // has nothing to do with unknown viewers
		require.Equal(t, "engagement-1", business(other, sitting(t, "v1", "2026-03-01T15:30:00Z", told)))
	})
	t.Run("is refused where it means nothing", func(t *testing.T) {
		t.Parallel()
		for _, i := range []*configv1.Integration{
			limited(onceEver, func(i *configv1.Integration) { i.Actions[0].Scope = configv1.Scope_SCOPE_ENGAGEMENT }),
			limited(oncePerDay, func(i *configv1.Integration) { i.Trigger = configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED }),
			limited(99),
		} {
			_, err := integration.Compile(i)
			require.ErrorContains(t, err, "actions[0].repeat: ")
		}
	})
}
