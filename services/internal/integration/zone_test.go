package integration_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

// changing are zones whose clocks change, some of them at midnight, by half an hour, or across the date line.
var changing = []string{
	"America/New_York", "Europe/London", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Asia/Beirut",
	"America/Havana", "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca", "Antarctica/Troll",
}

// Around every moment at which clocks go forward or back, the due date is the day that clocks on the spot show, told here by
// arithmetic on the two offsets, and the day of "once per day" is the same one: the hour that comes twice makes no second
// record, the hour that is skipped loses none.
func TestDaysHoldWhereClocksChange(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-36")
	daily := task(&configv1.Assignment{}, path("ActivityDate", "visit.last_activity_at|day"))
	daily.Actions[0].Repeat = configv1.Repeat_REPEAT_ONCE_PER_DAY
	program := compile(t, daily)
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(changing).Draw(t, "zone")
		location, err := integration.LoadZone(zone)
		require.NoError(t, err)
		from := time.Unix(rapid.Int64Range(1_200_000_000, 1_900_000_000).Draw(t, "from"), 0)
		_, change := from.In(location).ZoneBounds()
		if change.IsZero() {
			t.Skip("clocks never change again there")
		}
		_, before := change.Add(-time.Second).In(location).Zone()
		_, after := change.In(location).Zone()
		shown := func(at time.Time) string { // on a clock on the spot
			offset := before
			if !at.Before(change) {
				offset = after
			}
			return time.Unix(at.Unix()+int64(offset), 0).UTC().Format(time.DateOnly)
		}
		near := rapid.Int64Range(-3*3600, 3*3600)
		first := change.Add(time.Duration(near.Draw(t, "first")) * time.Second)
		second := change.Add(time.Duration(near.Draw(t, "second")) * time.Second)
		business := map[time.Time]string{}
		for _, at := range []time.Time{first, second} {
			in := integrationtest.Document()
			in.Resolved.OrgTimeZone = zone
			v := in.Resolved.Engagement.Visit
			v.LastActivityAt, v.FirstClosedAt = timestamppb.New(at), timestamppb.New(at)
			record := program.Evaluate(in).Records[0]
			require.Equal(t, shown(at), integrationtest.Fields(record.Fields)["ActivityDate"])
			business[at] = record.Business
		}
		require.Equal(t, shown(first) == shown(second), business[first] == business[second])
	})
}

func TestAnOrgsNewZoneIsForLaterEvents(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-36")
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	org := func(zone string) *configv1.Org { return &configv1.Org{Id: "00D000000000001EAA", TimeZone: zone} }
	tokyo, berlin, tokyoAgain := org("Asia/Tokyo"), org("Europe/Berlin"), org("Asia/Tokyo")
	integration.FollowZone(nil, tokyo, at(0))
	require.Empty(t, tokyo.GetFormerZones())
	same := org("Asia/Tokyo")
	integration.FollowZone(tokyo, same, at(1))
	require.True(t, proto.Equal(tokyo, same), "nothing has changed")
	integration.FollowZone(tokyo, berlin, at(6))
	integration.FollowZone(berlin, tokyoAgain, at(12))
	for hour, want := range map[int]string{0: "Asia/Tokyo", 5: "Asia/Tokyo", 6: "Europe/Berlin", 11: "Europe/Berlin", 12: "Asia/Tokyo", 23: "Asia/Tokyo"} {
		require.Equal(t, want, integration.ZoneAt(tokyoAgain, at(hour)), hour)
	}
	other := &configv1.Org{Id: "00D000000000002EAA", TimeZone: "UTC"}
	integration.FollowZone(tokyoAgain, other, at(13))
	require.Empty(t, other.GetFormerZones(), "another org has a past of its own")
	require.Empty(t, integration.ZoneAt(nil, at(0)))
}

// Whatever changes came, every moment has the zone that counted then, as far back as is remembered.
func TestZonesOfAnyPast(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-36")
	rapid.Check(t, func(t *rapid.T) {
		zones := rapid.SliceOfN(rapid.SampledFrom([]string{"Asia/Tokyo", "Europe/Berlin", "UTC"}), 1, 9).Draw(t, "zones")
		start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		var org *configv1.Org
		for n, zone := range zones {
			next := &configv1.Org{Id: "00D000000000001EAA", TimeZone: zone}
			integration.FollowZone(org, next, start.Add(time.Duration(n)*time.Hour))
			org = next
		}
		at := rapid.IntRange(0, 10*60).Draw(t, "minute")
		want := zones[min(at/60, len(zones)-1)]
		require.Equal(t, want, integration.ZoneAt(org, start.Add(time.Duration(at)*time.Minute)))
	})
}

func TestWhatIsSwitchedOffWritesNothing(t *testing.T) {
	t.Parallel()
	i := task(&configv1.Assignment{}, path("ActivityDate", "visit.last_activity_at|day"))
	second := proto.CloneOf(i.GetActions()[0])
	second.Name = "second"
	i.Actions = append(i.Actions, second)
	in := integrationtest.Document()
	require.Len(t, compile(t, i).Evaluate(in).Records, 2)
	i.Actions[0].Disabled = true
	program := compile(t, i)
	records := program.Evaluate(in).Records
	require.Len(t, records, 1)
	require.Equal(t, "second", records[0].Action.GetName())
	require.Len(t, program.Targets(), 1)
	require.Equal(t, "actions[1]", program.Targets()[0].Path)
	require.True(t, program.Applies(in.Resolved.GetEngagement()))
	second.Disabled = true
	require.False(t, compile(t, i).Applies(in.Resolved.GetEngagement()), "so that the event is told to have no workflow")
	i.Actions[0].Disabled, i.Actions[0].Assignment = true, &configv1.Assignment{UnknownViewers: true, Chain: []configv1.Assignee{documentOwner}}
	require.False(t, integration.TellsUnknown(i))
	i.Actions[0].Disabled = false
	require.True(t, integration.TellsUnknown(i))
}

// What names zones may come from events, and zones are remembered by their names.
func TestAZoneHasOneName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Asia//Tokyo", "Asia/./Tokyo", "./Asia/Tokyo", "Asia/Tokyo/", "Asia/../Asia/Tokyo", "/Asia/Tokyo", "Local", ""} {
		_, err := integration.LoadZone(name)
		require.Error(t, err, name)
	}
	_, err := integration.LoadZone("Asia/Tokyo")
	require.NoError(t, err)
}
