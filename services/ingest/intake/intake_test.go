package intake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const (
	progress = `{"specversion":"1.0","id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","source":"https://video.example",` +
		`"type":"throughline.video.progress.v1","time":"2026-11-23T09:10:11.123Z","workspace":"acme",` +
		`"session":"s-0123456789abcdef","data":{"content":{"id":"video-000123","title":"製品紹介 – product tour",` +
		`"url":"https://video.example/w/video-000123","lengthSeconds":372.5,"ownerEmail":"Owner@acme.example",` +
		`"ownerName":"Owner Name","publishedAt":"2026-10-01T00:00:00Z"},` +
		`"viewer":{"email":"Taro.Yamada@customer.example","evidence":"signed_in","name":"Taro Yamada"},` +
		`"ranges":[{"from":12.5,"to":22.5},{"from":370,"to":400},{"from":9,"to":8}]}}`
	viewer = `"viewer":{"email":"Taro.Yamada@customer.example","evidence":"signed_in","name":"Taro Yamada"}`
)

var now = time.Date(2026, 11, 23, 9, 10, 12, 0, time.UTC)

type testBundle struct {
	view   *settings.View
	intake *intake.Intake
}

func setup(tb testing.TB) *testBundle {
	tb.Helper()
	view := settingstest.New(tb).Revision(7).
		Workspace("acme", func(w *configv1.Workspace) { w.Lateness = durationpb.New(48 * time.Hour) }).
		Content("untracked", false).
		Workspace("globex").
		View()
	return &testBundle{
		view:   view,
		intake: intake.New(intake.DefaultLimits(), intake.NewSubjects(100), intake.Tracing{Ratio: 1}),
	}
}

func raw(value string) *intake.Raw {
	return &intake.Raw{Value: []byte(value), Received: now, Now: now, Place: intake.Place{Topic: "viewing-events", Partition: 3, Offset: 42}}
}

func (b *testBundle) take(t *testing.T, r *intake.Raw) intake.Decision {
	t.Helper()
	d, err := b.intake.Take(b.view, r)
	require.NoError(t, err)
	return d
}

func activity(t *testing.T, d intake.Decision) (*streamv1.Activity, stage.Message) {
	t.Helper()
	require.True(t, d.Accepted(), d.Detail)
	require.Len(t, d.Messages, 1)
	require.Equal(t, topic.Activities, d.Messages[0].Topic)
	a := &streamv1.Activity{}
	require.NoError(t, proto.Unmarshal(d.Messages[0].Value, a))
	return a, d.Messages[0]
}

func (b *testBundle) open(t *testing.T, sealed []byte) *streamv1.PersonalData {
	t.Helper()
	ws, ok := b.view.Workspace("acme")
	require.True(t, ok)
	plain, err := ws.Keys().Open(sealed)
	require.NoError(t, err)
	p := &streamv1.PersonalData{}
	require.NoError(t, proto.Unmarshal(plain, p))
	return p
}

func TestAcceptedEventBecomesASealedActivity(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-1")
	t.Attr("requirement", "XC-28")
	t.Attr("requirement", "LOOM-22")
	b := setup(t)

	a, m := activity(t, b.take(t, raw(progress)))
	require.Equal(t, "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", a.GetEventId())
	require.Equal(t, "acme", a.GetWorkspace())
	require.Equal(t, "s-0123456789abcdef", a.GetSession())
	require.Equal(t, time.Date(2026, 11, 23, 9, 10, 11, 123e6, time.UTC), a.GetOccurredAt().AsTime())
	require.Equal(t, now, a.GetReceivedAt().AsTime())
	require.EqualValues(t, 7, a.GetSettingsRevision())
	require.Equal(t, streamv1.ContentKind_CONTENT_KIND_VIDEO, a.GetContent().GetKind())
	require.Equal(t, "製品紹介 – product tour", a.GetContent().GetTitle())
	require.Equal(t, time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), a.GetContent().GetPublishedAt().AsTime())
	require.Len(t, a.GetVideoProgress().GetRanges(), 2, "the inverted range is dropped")
	require.InDelta(t, 372.5, a.GetVideoProgress().GetRanges()[1].GetTo(), 0, "clipped to the length")

	ws, _ := b.view.Workspace("acme")
	require.Equal(t, ws.Keys().PersonKey("taro.yamada@customer.example"), a.GetSubject().GetPersonKey())
	require.Equal(t, streamv1.Evidence_EVIDENCE_SIGNED_IN, a.GetSubject().GetEvidence())
	require.Equal(t, "taro.yamada@customer.example", b.open(t, a.GetSubject().GetSealed()).GetEmail())
	require.Equal(t, "Taro Yamada", b.open(t, a.GetSubject().GetSealed()).GetName())
	require.Equal(t, ws.Keys().PersonKey("owner@acme.example"), a.GetContent().GetOwnerKey())
	require.Equal(t, "Owner Name", b.open(t, a.GetContent().GetOwnerSealed()).GetName())

	require.Equal(t, "acme/s-0123456789abcdef", string(m.Key))
	require.Equal(t, a.GetEventId(), m.ID)
	require.Equal(t, topic.TypeActivity, m.Type)
	require.Equal(t, a.GetOccurredAt().AsTime(), m.Time)
	for _, secret := range []string{"yamada", "Yamada", "Owner Name", "customer.example", "acme.example"} {
		require.NotContains(t, string(m.Value)+string(m.Key)+m.ID+m.TraceParent, secret)
	}
}

func TestSameEventInEveryFormBecomesTheSameActivity(t *testing.T) {
	t.Parallel()
	b := setup(t)
	structured, _ := activity(t, b.take(t, raw(progress)))

	e, err := event.NewDecoder().Structured([]byte(progress))
	require.NoError(t, err)
	bare, err := proto.Marshal(e)
	require.NoError(t, err)
	r := raw(string(bare))
	r.Form = intake.Protobuf
	protobuf, _ := activity(t, b.take(t, r))

	_, data, _ := strings.Cut(progress, `"data":`)
	r = raw(strings.TrimSuffix(data, "}"))
	r.Form = intake.Binary
	r.Attributes = event.Attributes{
		SpecVersion: "1.0", ID: e.GetId(), Source: "x", Type: event.TypeVideoProgress,
		Time: "2026-11-23T18:10:11.123+09:00", Workspace: "acme", Session: e.GetSession(),
	}
	binary, _ := activity(t, b.take(t, r))

	require.True(t, proto.Equal(structured, protobuf))
	require.True(t, proto.Equal(structured, binary))
}

func TestRulesDecide(t *testing.T) {
	t.Parallel()
	for _, requirement := range []string{"LOOM-20", "LOOM-22", "LOOM-28", "XC-6", "XC-19"} {
		t.Attr("requirement", requirement)
	}
	const accepted = streamv1.Reason_REASON_UNSPECIFIED
	replace := func(old, by string) func(*intake.Raw) {
		return func(r *intake.Raw) {
			value := strings.Replace(string(r.Value), old, by, 1)
			if value == string(r.Value) {
				panic("nothing replaced: " + old)
			}
			r.Value = []byte(value)
		}
	}
	const when = `"time":"2026-11-23T09:10:11.123Z"`
	for name, tc := range map[string]struct {
		change func(*intake.Raw)
		want   streamv1.Reason
	}{
		"garbage":                      {func(r *intake.Raw) { r.Value = []byte("\x00garbage\xff") }, streamv1.Reason_REASON_BAD_SCHEMA},
		"empty":                        {func(r *intake.Raw) { r.Value = nil }, streamv1.Reason_REASON_BAD_SCHEMA},
		"wrong shape":                  {func(r *intake.Raw) { r.Value = []byte(`[1,2,3]`) }, streamv1.Reason_REASON_BAD_SCHEMA},
		"unknown type":                 {replace("progress.v1", "progress.v9"), streamv1.Reason_REASON_BAD_SCHEMA},
		"no id":                        {replace(`"id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",`, ""), streamv1.Reason_REASON_BAD_SCHEMA},
		"no session":                   {replace(`"session":"s-0123456789abcdef",`, ""), streamv1.Reason_REASON_BAD_SCHEMA},
		"no workspace, none bound":     {replace(`"workspace":"acme",`, ""), streamv1.Reason_REASON_BAD_SCHEMA},
		"too large":                    {replace(`"title":"`, `"title":"`+strings.Repeat("x", 256<<10)), streamv1.Reason_REASON_TOO_LARGE},
		"unknown workspace":            {replace(`"acme"`, `"initech"`), streamv1.Reason_REASON_BAD_TENANT},
		"workspace of another topic":   {func(r *intake.Raw) { r.Workspace = "globex" }, streamv1.Reason_REASON_BAD_TENANT},
		"malformed workspace, bound":   {func(r *intake.Raw) { r.Workspace = "globex"; replace(`"acme"`, `"AC/ME"`)(r) }, streamv1.Reason_REASON_BAD_TENANT},
		"bound workspace not known":    {func(r *intake.Raw) { r.Workspace = "initech"; replace(`"workspace":"acme",`, "")(r) }, streamv1.Reason_REASON_BAD_TENANT},
		"a day ahead":                  {replace(when, `"time":"2026-11-24T09:10:12Z"`), accepted},
		"more than a day ahead":        {replace(when, `"time":"2026-11-24T09:10:13Z"`), streamv1.Reason_REASON_BAD_TIME},
		"as late as allowed":           {replace(when, `"time":"2026-11-21T09:10:12Z"`), accepted},
		"too late":                     {replace(when, `"time":"2026-11-21T09:10:11Z"`), streamv1.Reason_REASON_BAD_TIME},
		"ancient":                      {replace(when, `"time":"0001-01-01T00:00:00Z"`), streamv1.Reason_REASON_BAD_TIME},
		"late only because ingest was": {func(r *intake.Raw) { r.Now = now.Add(30 * 24 * time.Hour) }, accepted},
		"signed in without address":    {replace(`"email":"Taro.Yamada@customer.example",`, ""), streamv1.Reason_REASON_BAD_EMAIL},
		"signed in with a merge field": {replace("Taro.Yamada@customer.example", "{!Contact.Email}"), streamv1.Reason_REASON_BAD_EMAIL},
		"tracking off in the event":    {replace(`"data":{`, `"data":{"tracking":false,`), streamv1.Reason_REASON_TRACKING_OFF},
		"tracking off in the settings": {replace("video-000123", "untracked"), streamv1.Reason_REASON_TRACKING_OFF},
		"the event's snapshot goes first": {func(r *intake.Raw) {
			replace("video-000123", "untracked")(r)
			replace(`"data":{`, `"data":{"tracking":true,`)(r)
		}, accepted},
		"tracking off beats a bad address": {func(r *intake.Raw) { replace("video-000123", "untracked")(r); replace("Taro.Yamada@", "@")(r) }, streamv1.Reason_REASON_TRACKING_OFF},
		"own view":                         {replace("Owner@acme.example", "TARO.yamada@CUSTOMER.example"), streamv1.Reason_REASON_OWN_VIEW},
		"bound workspace fills in":         {func(r *intake.Raw) { r.Workspace = "acme"; replace(`"workspace":"acme",`, "")(r) }, accepted},
		"unknown fields":                   {replace(`"data":{`, `"x":{"y":[1]},"data":{"z":null,`), accepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := raw(progress)
			tc.change(r)
			d := b.take(t, r)
			require.Equal(t, tc.want, d.Reason, d.Detail)
			if tc.want == accepted {
				activity(t, d)
				return
			}
			require.NotEmpty(t, d.Detail)
			for _, secret := range []string{"amada", "@", "initech", "AC/ME", "Contact"} {
				require.NotContains(t, d.Detail, secret, "details quote nothing")
			}
			if d.Workspace == "" {
				require.Empty(t, d.Messages, "no tenant's log could show it")
				return
			}
			requireOutcome(t, d)
		})
	}
}

func requireOutcome(t *testing.T, d intake.Decision) {
	t.Helper()
	require.Len(t, d.Messages, 1)
	m := d.Messages[0]
	require.Equal(t, topic.Outcomes, m.Topic)
	o := &streamv1.Outcome{}
	require.NoError(t, proto.Unmarshal(m.Value, o))
	require.Equal(t, d.Status, o.GetStatus())
	require.Equal(t, d.Reason, o.GetReason())
	require.Equal(t, d.Detail, o.GetDetail())
	require.Equal(t, d.EventID, o.GetEventId())
	require.Equal(t, d.Workspace, o.GetWorkspace())
	require.Equal(t, intake.Stage, o.GetStage())
	require.NotContains(t, strings.ToLower(string(m.Value)), "yamada", "never stored with the address")
}

func TestIntruderIsMarkedAndToldToTheTenantItCameThrough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := raw(progress)
	r.Workspace = "globex"
	d := b.take(t, r)
	require.True(t, d.Intruder)
	require.Equal(t, "globex", d.Workspace)
	requireOutcome(t, d)
}

func TestViewerWithWeakEvidence(t *testing.T) {
	t.Parallel()
	for _, requirement := range []string{"LOOM-23", "LOOM-24", "LOOM-26"} {
		t.Attr("requirement", requirement)
	}
	for name, tc := range map[string]struct {
		viewer   string
		email    string
		evidence streamv1.Evidence
		warnings event.Warnings
	}{
		"asked":                     {`"viewer":{"email":"A@b.example","evidence":"asked"}`, "a@b.example", streamv1.Evidence_EVIDENCE_ASKED, 0},
		"asked, invalid":            {`"viewer":{"email":"nonsense","evidence":"asked"}`, "", 0, event.AddressDropped},
		"asked, nothing typed":      {`"viewer":{"email":"","evidence":"asked"}`, "", 0, 0},
		"link":                      {`"viewer":{"email":"a%2Bx%40b.example","evidence":"link"}`, "a+x@b.example", streamv1.Evidence_EVIDENCE_LINK, 0},
		"link, merge field":         {`"viewer":{"email":"{{email}}","evidence":"link"}`, "", 0, event.AddressDropped},
		"link, over 254 characters": {`"viewer":{"email":"a@` + strings.Repeat("b.", 200) + `example","evidence":"link"}`, "", 0, event.AddressDropped},
		"no evidence is a link":     {`"viewer":{"email":"a@b.example"}`, "a@b.example", streamv1.Evidence_EVIDENCE_LINK, 0},
		"unknown kind of evidence":  {`"viewer":{"email":"a@b.example","evidence":"palm reading"}`, "", 0, event.EvidenceUnknown},
		"anonymous":                 {`"viewer":{}`, "", 0, 0},
		"nobody":                    {`"viewer":null`, "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			d := b.take(t, raw(strings.Replace(progress, viewer, tc.viewer, 1)))
			a, m := activity(t, d)
			require.Equal(t, tc.warnings, d.Warnings&^(event.RangeClipped|event.RangeDropped))
			if tc.email == "" {
				require.Nil(t, a.GetSubject())
				require.NotContains(t, string(m.Value), "b.example")
				return
			}
			require.Equal(t, tc.evidence, a.GetSubject().GetEvidence())
			require.Equal(t, tc.email, b.open(t, a.GetSubject().GetSealed()).GetEmail())
		})
	}
}

func TestAnAddressIsKeptAsItWasSentWhereItsLettersDiffer(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "ZOOM-4")
	for sent, want := range map[string]string{
		" A@b.Example": "A@b.Example", "a@b.example": "", "ａ@b.example": "", "a@b.example ": "",
	} {
		b := setup(t)
		a, _ := activity(t, b.take(t, raw(strings.Replace(progress, viewer, `"viewer":{"email":"`+sent+`","evidence":"asked"}`, 1))))
		data := b.open(t, a.GetSubject().GetSealed())
		require.Equal(t, "a@b.example", data.GetEmail(), sent)
		require.Equal(t, want, data.GetEmailAsSent(), sent)
	}
}

func TestEventWithoutAnIDGetsOneFromItsBytesWhereAllowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	without := strings.Replace(progress, `"id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",`, "", 1)
	r := raw(without)
	r.DeriveID = true
	first, _ := activity(t, b.take(t, r))
	again, _ := activity(t, b.take(t, r))
	require.Equal(t, first.GetEventId(), again.GetEventId())
	require.Len(t, first.GetEventId(), 22)
	r.Value = append(r.Value, ' ')
	other, _ := activity(t, b.take(t, r))
	require.NotEqual(t, first.GetEventId(), other.GetEventId())
}

func TestTraceContextIsTheProducersOrDerived(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-1")
	b := setup(t)
	const given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

	r := raw(progress)
	r.Attributes.TraceParent = given
	_, m := activity(t, b.take(t, r))
	require.Equal(t, given, m.TraceParent, "from the record's header")

	r = raw(strings.Replace(progress, `"id"`, `"traceparent":"`+given+`","id"`, 1))
	r.Attributes.TraceParent = strings.Replace(given, "0af7", "1af7", 1)
	_, m = activity(t, b.take(t, r))
	require.Equal(t, given, m.TraceParent, "the event's own goes first")

	_, m = activity(t, b.take(t, raw(progress)))
	require.Regexp(t, "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$", m.TraceParent)
	_, again := activity(t, b.take(t, raw(progress)))
	require.Equal(t, m.TraceParent, again.TraceParent, "a repeated event belongs to the same trace")

	for _, bad := range []string{"00-0-0-01", strings.ToUpper(given), "00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01", given + "-x"} {
		r := raw(progress)
		r.Attributes.TraceParent = bad
		_, m := activity(t, b.take(t, r))
		require.NotEqual(t, bad, m.TraceParent)
	}
}

func TestSubjectIsSealedOncePerViewerAndCacheStaysBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, _ := activity(t, b.take(t, raw(progress)))
	again, _ := activity(t, b.take(t, raw(progress)))
	require.Equal(t, first.GetSubject().GetSealed(), again.GetSubject().GetSealed())
	named, _ := activity(t, b.take(t, raw(strings.Replace(progress, "Taro Yamada", "T. Yamada", 1))))
	require.Equal(t, first.GetSubject().GetPersonKey(), named.GetSubject().GetPersonKey())
	require.Equal(t, "T. Yamada", b.open(t, named.GetSubject().GetSealed()).GetName())
}

func FuzzTake(f *testing.F) {
	f.Add([]byte(progress), 0)
	f.Add([]byte("\x0a\x01a"), 2)
	f.Add([]byte(`{"content":{"id":"c"}}`), 1)
	f.Add([]byte(strings.Repeat("[", 1000)), 0)
	b := setup(f)
	f.Fuzz(func(t *testing.T, value []byte, form int) {
		r := raw(string(value))
		r.Form = intake.Form(form % 3)
		r.DeriveID = form%2 == 0
		r.Attributes = event.Attributes{SpecVersion: "1.0", ID: "e", Source: "s", Type: event.TypePageViewed, Time: "2026-11-23T09:10:11Z", Workspace: "acme", Session: "s"}
		d, err := b.intake.Take(b.view, r)
		require.NoError(t, err, "a bad event is refused, never an error")
		if d.Accepted() {
			require.Len(t, d.Messages, 1)
			require.True(t, event.ValidID(d.EventID))
			return
		}
		require.NotEqual(t, streamv1.Reason_REASON_UNSPECIFIED, d.Reason)
		require.NotEmpty(t, d.Detail)
	})
}

func BenchmarkTake(b *testing.B) {
	bundle := setup(b)
	r := raw(progress)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bundle.intake.Take(bundle.view, r); err != nil {
			b.Fatal(err)
		}
	}
}
