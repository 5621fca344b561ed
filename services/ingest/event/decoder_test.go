package event_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
)

// with returns progressJSON with one part replaced.
func with(t *testing.T, old, by string) []byte {
	t.Helper()
	require.Contains(t, progressJSON, old)
	return []byte(strings.Replace(progressJSON, old, by, 1))
}

// data returns a minimal event of a type with the given data, content included.
func data(kind, fields string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"e","source":"s","type":%q,"time":"2026-11-23T09:10:11Z","workspace":"acme",`+
		`"session":"s","data":{"content":{"id":"c","lengthSeconds":100,"pageCount":9}%s}}`, kind, fields)
}

// accept decodes, tidies, checks and clips, as ingest does.
func accept(d *event.Decoder, value []byte) (*sourcev1.ViewingEvent, event.Warnings, error) {
	e, err := d.Structured(value)
	if err != nil {
		return nil, 0, err
	}
	w := event.Tidy(e)
	if err := event.Check(e); err != nil {
		return nil, w, err
	}
	return e, w | event.Clip(e), nil
}

func TestStructuredReadsEveryField(t *testing.T) {
	t.Parallel()
	e, err := event.NewDecoder().Structured([]byte(progressJSON))
	require.NoError(t, err)
	require.Equal(t, "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", e.GetId())
	require.Equal(t, "acme", e.GetWorkspace())
	require.Equal(t, "s-0123456789abcdef", e.GetSession())
	require.Equal(t, time.Date(2026, 11, 23, 9, 10, 11, 123e6, time.UTC), e.GetTime().AsTime())
	require.Nil(t, e.Tracking)
	c := e.GetContent()
	require.Equal(t, "video-000123", c.GetId())
	require.Equal(t, "製品紹介 – product tour", c.GetTitle())
	require.Equal(t, "https://video.example/w/video-000123", c.GetUrl())
	require.InDelta(t, 372.5, c.GetLengthSeconds(), 0)
	require.Equal(t, "owner@acme.example", c.GetOwnerEmail())
	require.Equal(t, "Owner Name", c.GetOwnerName())
	require.Equal(t, time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), c.GetPublishedAt().AsTime())
	require.Equal(t, "taro.yamada123@customer.example", e.GetViewer().GetEmail())
	require.Equal(t, sourcev1.Evidence_EVIDENCE_SIGNED_IN, e.GetViewer().GetEvidence())
	require.Equal(t, "Taro Yamada", e.GetViewer().GetName())
	require.Len(t, e.GetVideoProgress().GetRanges(), 2)
	require.InDelta(t, 40.25, e.GetVideoProgress().GetRanges()[1].GetTo(), 0)
}

func TestStructuredReadsEveryType(t *testing.T) {
	t.Parallel()
	d := event.NewDecoder()
	for kind, tc := range map[string]struct {
		fields string
		want   *sourcev1.ViewingEvent
	}{
		event.TypeVideoStarted:  {``, &sourcev1.ViewingEvent{Detail: &sourcev1.ViewingEvent_VideoStarted{VideoStarted: &sourcev1.VideoStarted{}}}},
		event.TypeVideoProgress: {`,"ranges":[{"to":2,"from":1}]`, &sourcev1.ViewingEvent{Detail: &sourcev1.ViewingEvent_VideoProgress{VideoProgress: &sourcev1.VideoProgress{Ranges: []*sourcev1.TimeRange{{From: 1, To: 2}}}}}},
		event.TypeVideoEnded:    {`,"completed":true`, &sourcev1.ViewingEvent{Detail: &sourcev1.ViewingEvent_VideoEnded{VideoEnded: &sourcev1.VideoEnded{Completed: true}}}},
		event.TypeVideoCTAClicked: {`,"label":"Book\u0020\ud83d\ude00","url":"https:\/\/x.example"`, &sourcev1.ViewingEvent{Detail: &sourcev1.ViewingEvent_CallToActionClicked{
			CallToActionClicked: &sourcev1.CallToActionClicked{Label: "Book 😀", Url: "https://x.example"},
		}}},
		event.TypeDocumentOpened:        {``, &sourcev1.ViewingEvent{Detail: &sourcev1.ViewingEvent_DocumentOpened{DocumentOpened: &sourcev1.DocumentOpened{}}}},
		event.TypePageViewed:            {`,"page":2.0,"dwellSeconds":1e1`, &sourcev1.ViewingEvent{Detail: &sourcev1.ViewingEvent_PageViewed{PageViewed: &sourcev1.PageViewed{Page: 2, DwellSeconds: 10}}}},
		event.TypeDocumentClosed:        {`,"page":null`, &sourcev1.ViewingEvent{Detail: &sourcev1.ViewingEvent_DocumentClosed{DocumentClosed: &sourcev1.DocumentClosed{}}}},
		event.TypeRegistrationCreated:   {registrationFields, &sourcev1.ViewingEvent{Detail: &sourcev1.ViewingEvent_RegistrationCreated{RegistrationCreated: registration()}}},
		event.TypeRegistrationChanged:   {registrationFields, &sourcev1.ViewingEvent{Detail: &sourcev1.ViewingEvent_RegistrationChanged{RegistrationChanged: registration()}}},
		event.TypeRegistrationCancelled: {registrationFields, &sourcev1.ViewingEvent{Detail: &sourcev1.ViewingEvent_RegistrationCancelled{RegistrationCancelled: registration()}}},
	} {
		for range 2 { // the second event must owe nothing to the first
			e, w, err := accept(d, data(kind, tc.fields))
			require.NoError(t, err, kind)
			require.Zero(t, w)
			got := &sourcev1.ViewingEvent{Detail: e.GetDetail()}
			require.True(t, proto.Equal(tc.want, got), "%s: %v", kind, got)
		}
	}
	require.Len(t, event.Types(), 10)
}

func TestOneEventLeavesNothingBehindForTheNext(t *testing.T) {
	t.Parallel()
	d := event.NewDecoder()
	_, err := d.Structured([]byte(strings.Replace(progressJSON, `"data":{`, `"traceparent":"t","data":{"tracking":true,`, 1)))
	require.NoError(t, err)
	require.Equal(t, "t", d.TraceParent())
	again, err := d.Structured(data(event.TypeVideoProgress, `,"ranges":[{"from":1,"to":2}]`))
	require.NoError(t, err)
	fresh, err := event.NewDecoder().Structured(data(event.TypeVideoProgress, `,"ranges":[{"from":1,"to":2}]`))
	require.NoError(t, err)
	require.True(t, proto.Equal(fresh, again))
	require.Empty(t, d.TraceParent())
}

func TestBadEventIsRefusedWithReasonAndPath(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-1")
	t.Attr("requirement", "XC-2")
	long := strings.Repeat("x", 129)
	for name, tc := range map[string]struct {
		value []byte
		path  string
		has   string
	}{
		"nothing":              {nil, "", "ends too early"},
		"garbage":              {[]byte("\x01\x02\x03"), "", "not valid JSON"},
		"invalid UTF-8":        {with(t, "Taro", "\xff\xfe"), "", "UTF-8"},
		"a number":             {[]byte("42"), "", "must be an object"},
		"cut off":              {[]byte(progressJSON[:300]), "data.content", "ends too early"},
		"something after it":   {[]byte(progressJSON + "{}"), "", "follows"},
		"deep nesting":         {with(t, `"data":{`, `"deep":`+strings.Repeat("[", 100000)+`,"data":{`), "", "nested too deeply"},
		"name twice":           {with(t, `"id"`, `"id":"x","id"`), "", "twice"},
		"name twice, escaped":  {with(t, `"id"`, `"\u0069d":"x","id"`), "", "twice"},
		"other specversion":    {with(t, `"1.0"`, `"0.3"`), "specversion", "1.0"},
		"no source":            {with(t, `"source":"https://video.example",`, ``), "source", "missing"},
		"type of a later day":  {with(t, `progress.v1`, `progress.v2`), "type", "none of the known"},
		"no type":              {with(t, `"type":"throughline.video.progress.v1",`, ``), "type", "missing"},
		"no data":              {[]byte(`{"specversion":"1.0","id":"e","source":"s","type":"throughline.video.started.v1","data_base64":"e30="}`), "data", "missing"},
		"id is a number":       {with(t, `"id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"`, `"id":7`), "id", "string"},
		"id is too long":       {with(t, `0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b`, long), "id", "128"},
		"id breaks the line":   {with(t, `0190a1b2`, `\n`), "id", "control"},
		"workspace with slash": {with(t, `"acme"`, `"a/b"`), "workspace", "a-z"},
		"no session":           {with(t, `"session":"s-0123456789abcdef",`, ``), "session", "missing"},
		"no time":              {with(t, `"time":"2026-11-23T09:10:11.123Z",`, ``), "time", "missing"},
		"time is a number":     {with(t, `"time":"2026-11-23T09:10:11.123Z"`, `"time":1795426200`), "time", "string"},
		"time is a date":       {with(t, `"time":"2026-11-23T09:10:11.123Z"`, `"time":"2026-11-23"`), "time", "RFC 3339"},
		"year 0":               {with(t, `2026-11-23T`, `0000-11-23T`), "time", "year"},
		"no content":           {with(t, `"content"`, `"contents"`), "data.content", "missing"},
		"content is an array":  {with(t, `"content":{`, `"content":[],"x":{`), "data.content", "object"},
		"length is text":       {with(t, `372.5`, `"372.5"`), "data.content.lengthSeconds", "number"},
		"length is endless":    {with(t, `372.5`, `1e400`), "data.content.lengthSeconds", "out of range"},
		"length is negative":   {with(t, `372.5`, `-1`), "data.content.lengthSeconds", "between"},
		"publication":          {with(t, `2026-10-01T00:00:00Z`, `yesterday`), "data.content.publishedAt", "RFC 3339"},
		"viewer is text":       {with(t, `"viewer":{`, `"viewer":"taro","x":{`), "data.viewer", "object"},
		"ranges is an object":  {with(t, `"ranges":[`, `"ranges":{},"x":[`), "data.ranges", "array"},
		"no ranges":            {data(event.TypeVideoProgress, ``), "data.ranges", "1 to 256"},
		"too many ranges":      {data(event.TypeVideoProgress, `,"ranges":[`+strings.Repeat(`{"from":1,"to":2},`, 256)+`{"from":1,"to":2}]`), "data.ranges", "1 to 256"},
		"range without end":    {with(t, `,"to":22.5`, ``), "data.ranges[0]", "from and to"},
		"negative range":       {with(t, `"from":30`, `"from":-30`), "data.ranges[1].from", "between"},
		"range is text":        {with(t, `"from":30`, `"from":"30"`), "data.ranges[].from", "number"},
		"page 0":               {data(event.TypePageViewed, `,"page":0`), "data.page", "between"},
		"half a page":          {data(event.TypePageViewed, `,"page":1.5`), "data.page", "whole"},
		"dwell":                {data(event.TypePageViewed, `,"page":1,"dwellSeconds":86401`), "data.dwellSeconds", "86400"},
		"completed is text":    {data(event.TypeVideoEnded, `,"completed":"yes"`), "data.completed", "true or false"},
		"tracking is a number": {data(event.TypeVideoEnded, `,"tracking":0`), "data.tracking", "true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := accept(event.NewDecoder(), tc.value)
			var refusal *event.Refusal
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, streamv1.Reason_REASON_BAD_SCHEMA, refusal.Reason)
			require.Equal(t, "BAD_SCHEMA", refusal.Code())
			require.Equal(t, tc.path, refusal.Path)
			require.Contains(t, refusal.Detail, tc.has)
		})
	}
}

func TestRefusalQuotesNothing(t *testing.T) {
	t.Parallel()
	const secret = "taro@customer.example"
	for _, value := range [][]byte{
		[]byte(secret), []byte(`"` + secret + `"`), []byte(`{"` + secret + `":` + secret + `}`),
		with(t, `"acme"`, `"`+secret+`"`), with(t, `"time":"2026`, `"time":"`+secret), with(t, `progress.v1`, secret),
		with(t, `372.5`, `"`+secret+`"`), with(t, `"id":"0190`, `"id":"\u0000`+secret),
	} {
		_, _, err := accept(event.NewDecoder(), value)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "taro")
	}
}

func TestRepairsCostNoEvent(t *testing.T) {
	t.Parallel()
	for _, requirement := range []string{"LOOM-25", "LOOM-29", "LOOM-30", "IMM-18"} {
		t.Attr("requirement", requirement)
	}
	for name, tc := range map[string]struct {
		value []byte
		want  event.Warnings
		check func(t *testing.T, e *sourcev1.ViewingEvent)
	}{
		"inverted range": {data(event.TypeVideoProgress, `,"ranges":[{"from":9,"to":3},{"from":1,"to":2},{"from":4,"to":4}]`), event.RangeDropped, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.Len(t, e.GetVideoProgress().GetRanges(), 1)
		}},
		"range beyond the end": {data(event.TypeVideoProgress, `,"ranges":[{"from":90,"to":120}]`), event.RangeClipped, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.InDelta(t, 100, e.GetVideoProgress().GetRanges()[0].GetTo(), 0)
		}},
		"range wholly beyond the end": {data(event.TypeVideoProgress, `,"ranges":[{"from":100,"to":120}]`), event.RangeClipped | event.RangeDropped, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.Empty(t, e.GetVideoProgress().GetRanges())
		}},
		"page beyond the end": {data(event.TypePageViewed, `,"page":10`), event.PageClamped, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.EqualValues(t, 9, e.GetPageViewed().GetPage())
		}},
		"exit page beyond the end": {data(event.TypeDocumentClosed, `,"page":99`), event.PageClamped, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.EqualValues(t, 9, e.GetDocumentClosed().GetPage())
		}},
		"less than no time": {data(event.TypePageViewed, `,"page":2,"dwellSeconds":-3.5`), event.DwellNegative, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.Zero(t, e.GetPageViewed().GetDwellSeconds())
		}},
		"query of a call to action": {data(event.TypeVideoCTAClicked, `,"label":" Buy\tnow\u0000 ","url":"https://x.example/buy?email=a@b.example#c"`), 0, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.Equal(t, "https://x.example/buy", e.GetCallToActionClicked().GetUrl())
			require.Equal(t, "Buy now", e.GetCallToActionClicked().GetLabel())
		}},
		"link that is code": {data(event.TypeVideoCTAClicked, `,"url":"javascript:alert(1)"`), event.LinkDropped, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.Empty(t, e.GetCallToActionClicked().GetUrl())
		}},
		"long texts": {data(event.TypeVideoCTAClicked, `,"label":"`+strings.Repeat("長", 300)+`","url":"https://x.example/`+strings.Repeat("p", 3000)+`"`), event.TextCut | event.LinkDropped, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.Equal(t, strings.Repeat("長", 254)+"…", e.GetCallToActionClicked().GetLabel())
		}},
		"unknown evidence": {data(event.TypeVideoStarted, `,"viewer":{"email":"a@b.example","evidence":"guess"}`), event.EvidenceUnknown, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.Nil(t, e.GetViewer())
		}},
		"endless address from a link": {data(event.TypeVideoStarted, `,"viewer":{"email":"`+strings.Repeat("a", 400)+`@b.example","evidence":"link"}`), event.AddressDropped, func(t *testing.T, e *sourcev1.ViewingEvent) {
			require.Nil(t, e.GetViewer())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, w, err := accept(event.NewDecoder(), tc.value)
			require.NoError(t, err)
			require.Equal(t, tc.want, w)
			tc.check(t, e)
		})
	}
	var names []string
	(event.TextCut | event.PageClamped).Each(func(name string) { names = append(names, name) })
	require.Equal(t, []string{"text_cut", "page_clamped"}, names)
}

func TestBinaryRefusesHeadersThatAreNoText(t *testing.T) {
	t.Parallel()
	_, err := event.NewDecoder().Binary(event.Attributes{SpecVersion: "1.0", ID: "\xff"}, []byte(`{}`))
	require.ErrorContains(t, err, "UTF-8")
}

func TestProtobufRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	d := event.NewDecoder()
	for _, value := range []string{"\xff\xff", "{}", "\x0a\x02\xff\xfe"} {
		_, err := d.Protobuf([]byte(value))
		require.ErrorContains(t, err, "ViewingEvent", "%q", value)
	}
	e, err := d.Protobuf(nil)
	require.NoError(t, err)
	require.Error(t, event.Check(e))
}

func FuzzStructured(f *testing.F) {
	f.Add([]byte(progressJSON))
	for _, kind := range event.Types() {
		f.Add(data(kind, `,"page":1,"ranges":[{"from":1,"to":2}],"label":"\u00e9","url":"https://x.example?a","completed":null`))
	}
	for _, s := range []string{"", "{", "null", "\xff", `{"data":{"ranges":[{}]}}`, `{"a":1e999}`, strings.Repeat("[", 200)} {
		f.Add([]byte(s))
	}
	d := event.NewDecoder()
	f.Fuzz(func(t *testing.T, value []byte) {
		before := string(value)
		requireAccepted(t, func() (*sourcev1.ViewingEvent, error) { return d.Structured(value) })
		require.Equal(t, before, string(value), "the record's bytes are not the decoder's")
	})
}

func FuzzBinary(f *testing.F) {
	f.Add("1.0", "e", event.TypePageViewed, "2026-11-23T09:10:11Z", []byte(`{"content":{"id":"c"},"page":2}`))
	f.Add("", "\xff", "", "", []byte(`null`))
	d := event.NewDecoder()
	f.Fuzz(func(t *testing.T, version, id, kind, at string, value []byte) {
		attrs := event.Attributes{SpecVersion: version, ID: id, Source: "s", Type: kind, Time: at, Workspace: "acme", Session: id}
		requireAccepted(t, func() (*sourcev1.ViewingEvent, error) { return d.Binary(attrs, value) })
	})
}

func FuzzProtobuf(f *testing.F) {
	e, err := event.NewDecoder().Structured([]byte(progressJSON))
	require.NoError(f, err)
	value, err := proto.Marshal(e)
	require.NoError(f, err)
	f.Add(value)
	f.Add([]byte{0x0a, 0xff})
	d := event.NewDecoder()
	f.Fuzz(func(t *testing.T, value []byte) {
		requireAccepted(t, func() (*sourcev1.ViewingEvent, error) { return d.Protobuf(value) })
	})
}

// requireAccepted decodes and checks; what is refused must say why, what is accepted must keep the contract's rules.
func requireAccepted(t *testing.T, decode func() (*sourcev1.ViewingEvent, error)) {
	t.Helper()
	e, err := decode()
	if err == nil {
		event.Tidy(e)
		err = event.Check(e)
	}
	if err != nil {
		var refusal *event.Refusal
		require.ErrorAs(t, err, &refusal)
		require.NotEmpty(t, refusal.Error())
		return
	}
	event.Clip(e)
	_, err = proto.Marshal(e)
	require.NoError(t, err, "an accepted event can be encoded")
	for _, r := range e.GetVideoProgress().GetRanges() {
		require.Less(t, r.GetFrom(), r.GetTo())
	}
}
