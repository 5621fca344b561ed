package identity_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// rules replaces the workspace's settings: one rule that makes to-dos with an assignment.
func (b *bundle) rules(assignment *configv1.Assignment, change ...func(*configv1.Workspace, *configv1.Connection)) {
	b.Helper()
	c := &configv1.Connection{Org: &configv1.Org{}}
	build := settingstest.New(b.T).Workspace("acme", func(w *configv1.Workspace) {
		w.MatchPolicy = &configv1.MatchPolicy{}
		for _, f := range change {
			f(w, c)
		}
	})
	source := build.Connection("prod", func(to *configv1.Connection) { to.Org.Sandbox = c.GetOrg().GetSandbox() }).
		Integration(&configv1.Integration{
			Id: "task", Enabled: true, Trigger: configv1.Trigger_TRIGGER_VISIT_CLOSED,
			Actions: []*configv1.Action{{Name: "task", Object: "Task", Scope: configv1.Scope_SCOPE_VISIT, Assignment: assignment}},
		}).Source()
	b.workspace, _ = source.View().Workspace("acme")
	b.deps.Settings = source
}

// produceUnknown appends the closed visit of a viewer nobody knows.
func (b *bundle) produceUnknown(owner string) {
	b.Helper()
	value, err := proto.Marshal(&streamv1.Engagement{
		EngagementId: "engagement", Workspace: "acme", Revision: 1,
		Content: &streamv1.Content{ContentId: "c", OwnerKey: b.workspace.Keys().PersonKey(owner), OwnerSealed: b.seal(owner)},
		Visit: &streamv1.Visit{
			VisitId: "visit", State: streamv1.VisitState_VISIT_STATE_CLOSED, LastActivityAt: timestamppb.New(noon), ToldUnknown: true,
		},
	})
	require.NoError(b, err)
	b.broker.Append(topic.Engagements, 0, stage.Record{Time: time.Now(), Key: topic.PersonKey("acme", "anonymous-visit"), Value: value})
}

func TestAssignees(t *testing.T) {
	t.Parallel()
	const documentOwner, fixedUser = configv1.Assignee_ASSIGNEE_CONTENT_OWNER, configv1.Assignee_ASSIGNEE_FIXED_USER
	lead := people("Lead", map[string]any{"LastName": "Sato", "Company": "C", "Email": "mia@example.com", "OwnerId": ownerID})

	t.Run("NamedUsersAreFoundWhileTheyExist", func(t *testing.T) {
		t.Parallel()
		for id, want := range map[string][]bool{ownerID: {true}, goneID[:15]: {false}, "005000000000999AAA": nil} {
			b := setup(t, lead)
			b.rules(&configv1.Assignment{Chain: []configv1.Assignee{fixedUser}, FixedUserId: id})
			b.run()
			b.produce("mia@example.com", "owner@acme.example")
			var active []bool
			for _, u := range b.resolved(1)[0].GetFixedUsers() {
				require.Equal(t, id[:15], u.GetRecordId()[:15])
				active = append(active, u.GetOwnerActive())
			}
			require.Equal(t, want, active, id)
		}
	})

	t.Run("OwnersTellTheirZone", func(t *testing.T) {
		t.Parallel()
		b := setup(t, lead, func(o *simulator.Org) { o.Users[1].TimeZone = "Asia/Kolkata" })
		b.run()
		b.produce("mia@example.com", "owner@acme.example")
		got := b.resolved(1)[0]
		require.Equal(t, "Asia/Kolkata", got.GetPerson().GetOwnerTimeZone())
		require.Equal(t, "Asia/Kolkata", got.GetContentOwner().GetOwnerTimeZone())
	})

	t.Run("UsersOfASandboxAreFoundByTheirOwnAddress", func(t *testing.T) {
		t.Parallel()
		suffixed := func(o *simulator.Org) { o.Users[1].Email = "Owner@acme.example.invalid" }
		for name, c := range map[string]struct{ wanted, sandbox, found bool }{
			"wanted, in a sandbox":     {true, true, true},
			"wanted, in production":    {true, false, false},
			"not wanted, in a sandbox": {false, true, false},
		} {
			b := setup(t, suffixed)
			b.rules(&configv1.Assignment{Chain: []configv1.Assignee{documentOwner}}, func(w *configv1.Workspace, to *configv1.Connection) {
				w.MatchPolicy.SandboxSuffix, to.Org.Sandbox = c.wanted, c.sandbox
			})
			b.run()
			b.produce("mia@example.com", "owner@acme.example")
			require.Equal(t, c.found, b.resolved(1)[0].GetContentOwner().GetRecordId() == ownerID, name)
		}
	})

	t.Run("SeveralUsersWithOneAddressAreNoted", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-30")
		b := setup(t, func(o *simulator.Org) {
			o.Users = append(o.Users, simulator.User{Username: "second@acme.example", Email: "owner@acme.example"})
		})
		b.run()
		b.produce("mia@example.com", "owner@acme.example")
		require.True(t, b.resolved(1)[0].GetContentOwner().GetOneOfSeveral())
	})

	t.Run("TheOwnerIsTheOneOfTheTimeOfTheVisit", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *simulator.Org) {
			o.Users = append(o.Users, simulator.User{Username: "next@acme.example", Email: "next@acme.example"})
		})
		b.run()
		b.produce("mia@example.com", "next@acme.example", func(e *streamv1.Engagement) {
			e.Visit.Content = &streamv1.Content{
				ContentId: "c", OwnerKey: b.workspace.Keys().PersonKey("owner@acme.example"), OwnerSealed: b.seal("owner@acme.example"),
			}
		})
		require.Equal(t, ownerID, b.resolved(1)[0].GetContentOwner().GetRecordId())
	})

	t.Run("AllOfManyPeopleWithOneAddressAreConsidered", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-33")
		var rows []map[string]any
		for i := range 250 {
			changed := time.Date(2026, 1, 1, 0, i, 0, 0, time.UTC)
			if i == 120 {
				changed = changed.AddDate(0, 1, 0)
			}
			rows = append(rows, map[string]any{
				"LastName": "Sato", "Company": "C", "Email": "mia@example.com", "OwnerId": ownerID, "Id": fmt.Sprintf("00Q%012dAAA", i+1),
				"CreatedDate": "2026-01-01T00:00:00.000Z", "LastModifiedDate": changed.Format("2006-01-02T15:04:05.000Z"),
			})
		}
		b := setup(t, people("Lead", rows...))
		b.run()
		b.produce("mia@example.com", "owner@acme.example")
		got := b.resolved(1)[0]
		require.Equal(t, "00Q000000000121AAA", got.GetPerson().GetRecordId(), "the latest change wins")
		require.GreaterOrEqual(t, len(got.GetCandidates()), 250, "and the decision is recorded with all it was taken from")
	})

	t.Run("OfAnUnknownViewerOnlyTheOwnerIsLookedFor", func(t *testing.T) {
		t.Parallel()
		b := setup(t, lead)
		b.rules(&configv1.Assignment{Chain: []configv1.Assignee{documentOwner}, UnknownViewers: true})
		s := b.run()
		b.produceUnknown("owner@acme.example")
		got := b.resolved(1)[0]
		require.Equal(t, ownerID, got.GetContentOwner().GetRecordId())
		require.Nil(t, got.GetPerson())
		require.Empty(t, got.GetLead())
		require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, got.GetReason())
		require.EqualValues(t, 1, s.Stats().Queries, "Users; no Leads, no Contacts")
		require.Equal(t, "acme/anonymous-visit", string(b.broker.Records(topic.Resolved)[0].Key))
	})

	t.Run("AnUnknownViewerWhomNobodyAskedAboutIsSkipped", func(t *testing.T) {
		t.Parallel()
		b := setup(t, lead)
		s := b.run()
		b.produceUnknown("owner@acme.example")
		require.Eventually(t, func() bool { return len(b.broker.Records(topic.Outcomes)) == 1 }, time.Minute, 5*time.Millisecond)
		o := new(streamv1.Outcome)
		require.NoError(t, proto.Unmarshal(b.broker.Records(topic.Outcomes)[0].Value, o))
		require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, o.GetReason())
		require.Zero(t, s.Stats().Queries)
	})
}
