package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// recordings is a service that can preview, and a pipeline that holds what was recorded.
type recordings struct {
	*catalogueBundle
	topics memoryLog
	keys   *seal.Keys
}

func setupRecordings(t *testing.T) *recordings {
	t.Helper()
	r := &recordings{catalogueBundle: prepareCatalogue(t), topics: memoryLog{}}
	r.deps.Decide, r.deps.Topics = app.Decide, r.topics
	r.start(t)
	r.connect(t, "acme")
	watch, err := r.service.Watch(t.Context(), &configv1.WatchRequest{})
	require.NoError(t, err)
	got, err := watch.Recv()
	require.NoError(t, err)
	r.keys, err = r.deps.Installation.OpenKeys("acme", got.GetSnapshot().GetWorkspaces()[0].GetSealedKeys())
	require.NoError(t, err)
	return r
}

func (r *recordings) seal(t *testing.T, email, name string) []byte {
	t.Helper()
	plain, err := proto.Marshal(&streamv1.PersonalData{Email: email, Name: name})
	require.NoError(t, err)
	sealed, err := r.keys.Seal(plain)
	require.NoError(t, err)
	return sealed
}

// engagement is of a viewer with a document that was closed n minutes after epoch.
func (r *recordings) engagement(t *testing.T, email string, n int) *streamv1.Engagement {
	t.Helper()
	visit := ids.VisitID("acme", email, "price-list")
	subject := &streamv1.Subject{PersonKey: r.keys.PersonKey(email), Sealed: r.seal(t, email, "Name of "+email), Evidence: streamv1.Evidence_EVIDENCE_SIGNED_IN}
	content := &streamv1.Content{
		ContentId: "price-list", Kind: streamv1.ContentKind_CONTENT_KIND_DOCUMENT, Title: "Price list",
		OwnerKey: r.keys.PersonKey("owner@acme.example"), OwnerSealed: r.seal(t, "owner@acme.example", "Olga Owner"),
	}
	return &streamv1.Engagement{
		Workspace: "acme", EngagementId: ids.EngagementID("acme", subject.GetPersonKey(), "price-list"), Subject: subject, Content: content,
		Revision: int64(n), Views: uint32(n), Visit: &streamv1.Visit{
			VisitId: visit, Workspace: "acme", State: streamv1.VisitState_VISIT_STATE_CLOSED, Subject: subject, Content: content,
			LastActivityAt: timestamppb.New(epoch.Add(time.Duration(n) * time.Minute)),
		},
	}
}

func (r *recordings) append(t *testing.T, to string, m proto.Message) {
	t.Helper()
	value, err := proto.Marshal(m)
	require.NoError(t, err)
	r.topics[to] = append(r.topics[to], stage.Record{Topic: to, Value: value, Time: r.clock.Now()})
}

// resolved records an engagement and the lead that was found for it.
func (r *recordings) resolved(t *testing.T, e *streamv1.Engagement) {
	t.Helper()
	lead := &streamv1.Person{RecordId: "00QAA0000000001AAA", Object: "Lead", OwnerId: "005AA0000000001AAA", OwnerActive: true}
	r.append(t, topic.Resolved, &streamv1.Resolved{
		Engagement: e, Connection: "main", OrgTimeZone: "Asia/Tokyo", Resolution: &streamv1.Resolution{Lead: lead, Person: lead},
	})
}

func (r *recordings) look(t *testing.T, token string, which *configv1.RecordedSelection) ([]*configv1.PreviewResult, error) {
	t.Helper()
	resp, err := configv1.NewCatalogueServiceClient(r.dial(t, token)).PreviewIntegration(t.Context(), &configv1.PreviewIntegrationRequest{
		Workspace: "acme", Subject: &configv1.PreviewIntegrationRequest_Integration{Integration: filled(t, "document-close-task")}, Recorded: which,
	})
	return resp.GetResults(), err
}

func newestOf(n int32) *configv1.RecordedSelection {
	return &configv1.RecordedSelection{Which: &configv1.RecordedSelection_Newest{Newest: n}}
}

func TestRecordedEngagementsArePreviewedWithoutTheirPeople(t *testing.T) {
	t.Parallel()
	r := setupRecordings(t)
	for n, email := range []string{"zoe@viewer.example", "mia@viewer.example", "ren@viewer.example"} {
		r.resolved(t, r.engagement(t, email, n+1))
	}
	r.resolved(t, r.engagement(t, "mia@viewer.example", 10)) // a newer revision
	foreign := r.engagement(t, "spy@viewer.example", 20)
	foreign.Workspace = "globex"
	r.resolved(t, foreign)

	results, err := r.look(t, acmeViewer, newestOf(2))
	require.NoError(t, err)
	require.Len(t, results, 2)
	require.EqualValues(t, 10, results[0].GetRecorded().GetRevision(), "the newest first, and of each its newest revision")
	require.EqualValues(t, 3, results[1].GetRecorded().GetRevision())
	require.True(t, results[0].GetRecorded().GetMasked())
	require.Nil(t, results[0].GetInput())
	w := results[0].GetWrites()[0]
	fields := shown(w)
	require.Equal(t, "masked.viewer@example.invalid closed the document “Price list” <- template (en, ja) actions[0].fields[0]", fields["Subject"])
	require.Equal(t, "00QAA0000000001AAA <- assignment actions[0].assignment", fields["WhoId"], "what does not depend on who it is, is exact")
	require.Equal(t, "2026-03-01 <- path visit.last_activity_at|day actions[0].fields[2]", fields["ActivityDate"])
	for _, result := range results {
		for _, secret := range []string{"viewer.example", "Olga", "owner@acme"} {
			require.NotContains(t, result.String(), secret)
		}
	}
	require.Empty(t, r.live.sim.Stats()["acme"].Routes, "nothing is asked or written")

	reveal := newestOf(1)
	reveal.Reveal = true
	_, err = r.look(t, acmeViewer, reveal)
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	results, err = r.look(t, acmeToken, reveal)
	require.NoError(t, err)
	require.Contains(t, shown(results[0].GetWrites()[0])["Subject"], "mia@viewer.example closed the document")
	require.Equal(t, "mia@viewer.example", results[0].GetInput().GetViewer().GetEmail())
	audit := r.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "personal_data"})
	require.Len(t, audit, 1, "who looked is on the record")
	require.Equal(t, "aoi", audit[0].GetActor())
}

func TestOneRecordedEngagementIsFoundByItsIdsAndByItsEvents(t *testing.T) {
	t.Parallel()
	r := setupRecordings(t)
	mia := r.engagement(t, "mia@viewer.example", 1)
	r.resolved(t, mia)
	r.resolved(t, r.engagement(t, "ren@viewer.example", 2))
	activity := &streamv1.Activity{EventId: "event-1", Workspace: "acme", Session: "mia@viewer.example", Content: &streamv1.Content{ContentId: "price-list"}}
	value, err := proto.Marshal(activity)
	require.NoError(t, err)
	r.topics[topic.Activities] = append(r.topics[topic.Activities], stage.Record{
		Topic: topic.Activities, Value: value, Time: r.clock.Now(), Headers: []stage.Header{{Key: stage.HeaderID, Value: []byte("event-1")}},
	})
	for name, which := range map[string]*configv1.RecordedSelection{
		"Engagement": {Which: &configv1.RecordedSelection_EngagementId{EngagementId: mia.GetEngagementId()}},
		"Event":      {Which: &configv1.RecordedSelection_EventId{EventId: "event-1"}},
	} {
		results, err := r.look(t, acmeViewer, which)
		require.NoError(t, err, name)
		require.Len(t, results, 1, name)
		require.Equal(t, mia.GetEngagementId(), results[0].GetRecorded().GetEngagementId(), name)
		require.Len(t, results[0].GetWrites(), 1, name)
	}
	for _, which := range []*configv1.RecordedSelection{
		{Which: &configv1.RecordedSelection_EngagementId{EngagementId: "none"}}, {Which: &configv1.RecordedSelection_EventId{EventId: "none"}},
	} {
		_, err := r.look(t, acmeViewer, which)
		require.Equal(t, codes.NotFound, status.Code(err))
	}
}

func TestWhatNobodyResolvedIsShownAsOfNobody(t *testing.T) {
	t.Parallel()
	r := setupRecordings(t)
	r.append(t, topic.Engagements, r.engagement(t, "mia@viewer.example", 1))
	results, err := r.look(t, acmeViewer, newestOf(1))
	require.NoError(t, err)
	require.True(t, results[0].GetRecorded().GetUnresolved())
	require.Empty(t, results[0].GetWrites())
	require.NotEmpty(t, results[0].GetSkipped())
}

// TestWhoWasErasedIsNotShown: their engagements stay in the topics for a while, sealed.
func TestWhoWasErasedIsNotShown(t *testing.T) {
	t.Attr("requirement", "XC-31")
	t.Parallel()
	r := setupRecordings(t)
	r.resolved(t, r.engagement(t, "mia@viewer.example", 1))
	privacy := configv1.NewPrivacyServiceClient(r.dial(t, adminToken))
	_, err := privacy.StartErasure(t.Context(), &configv1.StartErasureRequest{Workspace: "acme", Addresses: []string{"mia@viewer.example"}, Confirm: true})
	require.NoError(t, err)
	_, err = r.look(t, acmeToken, newestOf(5))
	require.Equal(t, codes.NotFound, status.Code(err))
}

// TestAValueThatIsMadeOfAnAddressIsMasked however it is made.
func TestAValueThatIsMadeOfAnAddressIsMasked(t *testing.T) {
	t.Parallel()
	r := setupRecordings(t)
	r.resolved(t, r.engagement(t, "mia@viewer.example", 1))
	rule := scoring(
		&configv1.FieldMapping{Field: "Note__c", Source: &configv1.FieldMapping_Expression{Expression: `"letters: " + string(size(viewer.email))`}},
		from("Points__c", "engagement.views"),
	)
	resp, err := r.catalogue.PreviewIntegration(t.Context(), &configv1.PreviewIntegrationRequest{
		Workspace: "acme", Subject: &configv1.PreviewIntegrationRequest_Integration{Integration: rule}, Recorded: newestOf(1),
	})
	require.NoError(t, err)
	fields := map[string]*streamv1.FieldValue{}
	for _, f := range resp.GetResults()[0].GetWrites()[0].GetFields() {
		fields[f.GetValue().GetField()] = f.GetValue()
	}
	require.Equal(t, "letters: 29", fields["Note__c"].GetText(), "of masked.viewer@example.invalid")
	require.InDelta(t, 1, fields["Points__c"].GetNumber(), 0)
	require.NotContains(t, resp.String(), "mia")
}
