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

const (
	registrant = `"viewer":{"email":"Taro.Yamada@customer.example"}`
	registered = `{"specversion":"1.0","id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5d","source":"https://events.example",` +
		`"type":"throughline.registration.created.v1","time":"2026-11-23T09:10:11.123Z","workspace":"acme",` +
		`"data":{"content":{"id":"untracked","title":"Summit","ownerEmail":"taro.yamada@customer.example"},` + registrant + `,` +
		`"registration":{"id":"r-1","firstName":"Taro","lastName":"Yamada","company":"Plantedco","tags":["a","","b"],` +
		`"ticket":{"id":"t-1","name":"Early","integrationCode":"SPRING"},"answers":[{"questionId":"q-1","values":["x","y"]}]}}}`
)

func TestARegistrationBecomesASealedActivity(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a, m := activity(t, b.take(t, raw(registered))) // of a content that is not tracked, and by its owner: neither is about views
	require.Equal(t, topic.SessionKey("acme", "r-1"), m.Key, "what happens to it keeps its order")
	require.Equal(t, streamv1.ContentKind_CONTENT_KIND_EVENT, a.GetContent().GetKind())
	require.Empty(t, a.GetContent().GetOwnerSealed())
	require.Equal(t, "taro.yamada@customer.example", b.open(t, a.GetSubject().GetSealed()).GetEmail())
	require.Equal(t, streamv1.Evidence_EVIDENCE_ASKED, a.GetSubject().GetEvidence())
	r := a.GetRegistration()
	require.Equal(t, streamv1.RegistrationChange_REGISTRATION_CHANGE_CREATED, r.GetChange())
	require.Equal(t, []string{"r-1", "t-1", "Early", "SPRING"}, []string{r.GetRegistrationId(), r.GetTicketId(), r.GetTicketName(), r.GetIntegrationCode()})
	require.Equal(t, a.GetOccurredAt().AsTime(), r.GetRegisteredAt().AsTime(), "unless it says otherwise")
	require.NotContains(t, string(m.Value), "Plantedco")

	ws, _ := b.view.Workspace("acme")
	plain, err := ws.Keys().Open(r.GetSealed())
	require.NoError(t, err)
	opened := &streamv1.Registrant{}
	require.NoError(t, proto.Unmarshal(plain, opened))
	require.True(t, proto.Equal(&streamv1.Registrant{
		FirstName: "Taro", LastName: "Yamada", Company: "Plantedco", SourceTags: "a;b", Answers: map[string]string{"q-1": "x;y"},
	}, opened))

	for kind, change := range map[string]streamv1.RegistrationChange{
		"changed": streamv1.RegistrationChange_REGISTRATION_CHANGE_CHANGED, "cancelled": streamv1.RegistrationChange_REGISTRATION_CHANGE_CANCELLED,
	} {
		a, _ = activity(t, b.take(t, raw(strings.Replace(registered, "created", kind, 1))))
		require.Equal(t, change, a.GetRegistration().GetChange())
	}
}

func TestRegistrationsThatAreNotExported(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-15")
	with := func(more string) string { return strings.Replace(registered, `"id":"r-1"`, `"id":"r-1",`+more, 1) }
	for name, c := range map[string]struct {
		value  string
		status streamv1.Status
		reason streamv1.Reason
	}{
		"no address":      {strings.Replace(registered, registrant, `"viewer":{"name":"Taro"}`, 1), streamv1.Status_STATUS_REJECTED, streamv1.Reason_REASON_BAD_EMAIL},
		"nobody":          {strings.Replace(registered, registrant+",", ``, 1), streamv1.Status_STATUS_REJECTED, streamv1.Reason_REASON_BAD_EMAIL},
		"not an address":  {strings.Replace(registered, registrant, `"viewer":{"email":"Taro Yamada"}`, 1), streamv1.Status_STATUS_REJECTED, streamv1.Reason_REASON_BAD_EMAIL},
		"a test":          {with(`"test":true`), streamv1.Status_STATUS_SKIPPED, streamv1.Reason_REASON_FLOW_SKIPPED},
		"from a record":   {with(`"origin":{"recordId":"00QAA0000000001"}`), streamv1.Status_STATUS_SKIPPED, streamv1.Reason_REASON_LOOP_ORIGIN},
		"from an invited": {with(`"origin":{"invitationId":"i-7"}`), streamv1.Status_STATUS_SKIPPED, streamv1.Reason_REASON_LOOP_ORIGIN},
	} {
		b := setup(t)
		d := b.take(t, raw(c.value))
		require.Equal(t, c.status, d.Status, name)
		require.Equal(t, c.reason, d.Reason, name)
		require.Len(t, d.Messages, 1, name)
		o := &streamv1.Outcome{}
		require.NoError(t, proto.Unmarshal(d.Messages[0].Value, o))
		require.NotContains(t, strings.ToLower(o.String()), "taro", name)
		switch name {
		case "from a record":
			require.Len(t, o.GetRecordId(), 18, "linked to its record")
			require.Equal(t, "00QAA0000000001", o.GetRecordId()[:15])
		case "from an invited":
			require.Equal(t, []string{"invitation i-7"}, o.GetNotes(), "under whatever address")
		}
	}
}

func TestRegistrationsNeedThePlanForEvents(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-1")
	view := settingstest.New(t).Revision(7).Workspace("acme", func(w *configv1.Workspace) {
		w.Lapses = []*configv1.Lapse{{
			Source: plan.Events, From: timestamppb.New(time.Date(2026, 11, 23, 9, 10, 11, 0, time.UTC)), Needed: []string{"business"},
		}}
	}).View()
	b := &testBundle{view: view, intake: intake.New(intake.DefaultLimits(), intake.NewSubjects(100), intake.Tracing{Ratio: 1})}
	d := b.take(t, raw(registered))
	require.Equal(t, streamv1.Status_STATUS_SKIPPED, d.Status)
	require.Equal(t, streamv1.Reason_REASON_PLAN_NOT_ENTITLED, d.Reason)
	activity(t, b.take(t, raw(progress)))
}

func TestRegistrationsOfTheErasedAreSkipped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.view = settingstest.New(t).Workspace("acme").Suppressed("taro.yamada@customer.example").View()
	d := b.take(t, raw(registered))
	require.Equal(t, streamv1.Reason_REASON_ERASED_SUBJECT, d.Reason)
	requireOutcome(t, d)
}
