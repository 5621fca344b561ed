package integration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

func TestDueDate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		left                   string
		action, workspace, org string
		want                   string
	}{
		"the next day in Japan":                          {"2026-03-01T15:30:00Z", "", "", "Asia/Tokyo", "2026-03-02"},
		"the same day in UTC":                            {"2026-03-01T15:30:00Z", "", "", "UTC", "2026-03-01"},
		"the workspace before the org":                   {"2026-03-01T15:30:00Z", "", "America/New_York", "Asia/Tokyo", "2026-03-01"},
		"the action before the workspace":                {"2026-03-01T15:30:00Z", "Asia/Tokyo", "America/New_York", "UTC", "2026-03-02"},
		"a second before midnight":                       {"2026-03-01T14:59:59Z", "", "", "Asia/Tokyo", "2026-03-01"},
		"midnight is the new day":                        {"2026-03-01T15:00:00Z", "", "", "Asia/Tokyo", "2026-03-02"},
		"leap day":                                       {"2028-02-28T15:00:00Z", "", "", "Asia/Tokyo", "2028-02-29"},
		"the day after leap day":                         {"2028-02-29T15:00:00Z", "", "", "Asia/Tokyo", "2028-03-01"},
		"no leap day in 2026":                            {"2026-02-28T15:00:00Z", "", "", "Asia/Tokyo", "2026-03-01"},
		"new year":                                       {"2026-12-31T15:00:00Z", "", "", "Asia/Tokyo", "2027-01-01"},
		"before clocks go forward":                       {"2026-03-08T04:59:59Z", "", "", "America/New_York", "2026-03-07"},
		"the short day begins":                           {"2026-03-08T05:00:00Z", "", "", "America/New_York", "2026-03-08"},
		"the short day ends an hour early":               {"2026-03-09T03:59:59Z", "", "", "America/New_York", "2026-03-08"},
		"and the next begins":                            {"2026-03-09T04:00:00Z", "", "", "America/New_York", "2026-03-09"},
		"the hour that comes twice, first":               {"2026-11-01T05:30:00Z", "", "", "America/New_York", "2026-11-01"},
		"the hour that comes twice, second":              {"2026-11-01T06:30:00Z", "", "", "America/New_York", "2026-11-01"},
		"the long day ends an hour late":                 {"2026-11-02T04:59:59Z", "", "", "America/New_York", "2026-11-01"},
		"before a midnight that is skipped":              {"2026-04-23T21:59:59Z", "", "", "Africa/Cairo", "2026-04-23"},
		"after a midnight that is skipped":               {"2026-04-23T22:00:00Z", "", "", "Africa/Cairo", "2026-04-24"},
		"half an hour off":                               {"2026-03-01T18:30:00Z", "", "", "Asia/Kolkata", "2026-03-02"},
		"far east":                                       {"2026-03-01T10:00:00Z", "", "", "Pacific/Kiritimati", "2026-03-02"},
		"far west":                                       {"2026-03-01T10:59:00Z", "", "", "Pacific/Pago_Pago", "2026-02-28"},
		"the org's zone when the workspace's is unknown": {"2026-03-01T15:30:00Z", "", "Nowhere/Land", "Asia/Tokyo", "2026-03-02"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "IMM-25")
			left, err := time.Parse(time.RFC3339, c.left)
			require.NoError(t, err)
			in := integrationtest.Document()
			in.Resolved.Engagement.Visit.LastActivityAt = timestamppb.New(left)
			in.TimeZone, in.Resolved.OrgTimeZone = c.workspace, c.org
			fields, record := write(t, task(&configv1.Assignment{TimeZone: c.action}, path("ActivityDate", "visit.last_activity_at|day")), in)
			require.Equal(t, c.want, fields["ActivityDate"])
			require.Empty(t, record.Warnings)
		})
	}
	t.Run("UTC with a warning when no zone is known", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-25")
		for _, org := range []string{"", "Nowhere/Land", "Local"} {
			in := integrationtest.Document()
			in.Resolved.OrgTimeZone = org
			fields, record := write(t, task(&configv1.Assignment{}, path("ActivityDate", "visit.last_activity_at|day")), in)
			require.Equal(t, "2026-03-01", fields["ActivityDate"])
			require.Equal(t, []string{"the org's time zone is not known; UTC was used"}, record.Warnings)
		}
	})
}

// The due date is the calendar day of the moment in the zone, at any moment and wherever clocks change.
func TestDueDateIsTheCalendarDayInTheZone(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-25")
	zones := []string{"Asia/Tokyo", "America/New_York", "Europe/London", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu", "UTC"}
	program := compile(t, task(&configv1.Assignment{}, path("ActivityDate", "visit.last_activity_at|day")))
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		moment := time.Unix(rapid.Int64Range(1_500_000_000, 2_000_000_000).Draw(t, "moment"), 0)
		in := integrationtest.Document()
		in.Resolved.Engagement.Visit.LastActivityAt = timestamppb.New(moment)
		in.Resolved.OrgTimeZone = zone
		got := integrationtest.Fields(program.Evaluate(in).Records[0].Fields)["ActivityDate"].(string)

		location, err := integration.LoadZone(zone)
		require.NoError(t, err)
		start, err := time.ParseInLocation(time.DateOnly, got, location)
		require.NoError(t, err)
		require.False(t, moment.Before(start))
		require.True(t, moment.Before(start.AddDate(0, 0, 1)))
	})
}
