package event_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
)

var docs = filepath.Join("..", "..", "..", "docs")

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	file, err := os.Open(filepath.Join(docs, "schema", "viewing-event.schema.json"))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	doc, err := jsonschema.UnmarshalJSON(file)
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("viewing-event.schema.json", doc))
	schema, err := compiler.Compile("viewing-event.schema.json")
	require.NoError(t, err)
	return schema
}

func validate(t require.TestingT, schema *jsonschema.Schema, value []byte) error {
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(value)))
	require.NoError(t, err)
	return schema.Validate(instance)
}

func TestExamplesOfTheDocumentationAreAccepted(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-1")
	page, err := os.ReadFile(filepath.Join(docs, "source-events.md"))
	require.NoError(t, err)
	schema := compileSchema(t)
	shown := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1) {
		e, warnings, err := accept(event.NewDecoder(), block[1])
		require.NoError(t, err, string(block[1]))
		require.Zero(t, warnings, string(block[1]))
		require.NotNil(t, e.GetDetail())
		require.NoError(t, validate(t, schema, block[1]))
		var envelope struct{ Type, ID string }
		require.NoError(t, json.Unmarshal(block[1], &envelope))
		require.Regexp(t, "^[0-9a-f]{8}-[0-9a-f]{4}-7", envelope.ID, "the examples show the recommended UUIDv7")
		shown[envelope.Type] = true
	}
	for _, kind := range event.Types() {
		require.True(t, shown[kind], "%s has no example", kind)
	}
}

// usually is true n times out of n+1.
func usually(n int) *rapid.Generator[bool] {
	choice := make([]bool, n+1)
	for i := range n {
		choice[i] = true
	}
	return rapid.SampledFrom(choice)
}

// value draws something that fits a field, or something that does not.
func value(good ...any) *rapid.Generator[any] {
	bad := []any{nil, "", "x", -1.0, 0.5, 0.0, 3.0, 1e6, 1e9, true, []any{}, map[string]any{}, "2026-13-01T00:00:00Z", strings.Repeat("長", 130)}
	return rapid.Custom(func(t *rapid.T) any {
		if usually(40).Draw(t, "fits") {
			return rapid.SampledFrom(good).Draw(t, "good")
		}
		return rapid.SampledFrom(bad).Draw(t, "bad")
	})
}

// object draws each field nearly always.
func object(t *rapid.T, fields map[string]*rapid.Generator[any]) map[string]any {
	out := map[string]any{}
	for _, name := range sortedKeys(fields) {
		if usually(40).Draw(t, "has "+name) {
			out[name] = fields[name].Draw(t, name)
		}
	}
	return out
}

func drawEvent(t *rapid.T) map[string]any {
	seconds := value(0.0, 1.5, 100.0, 604800.0, 2.25, 33.0, 0.1, 604801.0)
	ranges := rapid.Custom(func(t *rapid.T) any {
		if !usually(20).Draw(t, "array") {
			return value([]any{}).Draw(t, "ranges")
		}
		list := []any{}
		for range rapid.SampledFrom([]int{1, 1, 2, 2, 3, 3, 0}).Draw(t, "n") {
			list = append(list, object(t, map[string]*rapid.Generator[any]{"from": seconds, "to": seconds}))
		}
		return list
	})
	content := rapid.Custom(func(t *rapid.T) any {
		return object(t, map[string]*rapid.Generator[any]{
			"id": value("c", "video-1"), "title": value("Tour", strings.Repeat("長", 2000)), "url": value("https://x.example/", "javascript:x"),
			"lengthSeconds": seconds, "pageCount": value(0.0, 9.0, 100000.0, 12.0, 3.0, 100001.0), "ownerEmail": value("o@x.example", strings.Repeat("a", 300)),
			"ownerName": value("Owner"), "publishedAt": value("2026-10-01T00:00:00Z"),
		})
	})
	viewer := rapid.Custom(func(t *rapid.T) any {
		return object(t, map[string]*rapid.Generator[any]{
			"email": value("a@b.example", "nonsense"), "evidence": value("signed_in", "asked", "link", "guess"), "name": value("Taro"),
		})
	})
	texts := rapid.Custom(func(t *rapid.T) any {
		if !usually(20).Draw(t, "array") {
			return value([]any{}).Draw(t, "texts")
		}
		list := []any{}
		for range rapid.SampledFrom([]int{1, 2, 3, 0, 50, 51}).Draw(t, "n") {
			list = append(list, value("a", "b").Draw(t, "text"))
		}
		return list
	})
	answers := rapid.Custom(func(t *rapid.T) any {
		list := []any{}
		for range rapid.SampledFrom([]int{1, 2, 0}).Draw(t, "n") {
			list = append(list, object(t, map[string]*rapid.Generator[any]{"questionId": value("q-1", "q-2"), "values": texts}))
		}
		return list
	})
	registration := rapid.Custom(func(t *rapid.T) any {
		return object(t, map[string]*rapid.Generator[any]{
			"id": value("r-1", "r-2"), "registeredAt": value("2026-10-01T00:00:00Z", ""), "firstName": value("Taro"), "lastName": value("Yamada"),
			"headline": value("CTO"), "website": value("https://x.example", "x.example", "javascript:x"), "company": value("X"), "tags": texts,
			"answers": answers, "test": value(true, false), "unknown": value("x"),
			"ticket": rapid.Custom(func(t *rapid.T) any {
				return object(t, map[string]*rapid.Generator[any]{"id": value("t"), "name": value("Early"), "integrationCode": value("spring")})
			}),
			"origin": rapid.Custom(func(t *rapid.T) any {
				return object(t, map[string]*rapid.Generator[any]{
					"recordId": value("00QAA0000000001", "00QAA0000000001AAA", "", "00QAA"), "invitationId": value("i-1", ""),
				})
			}),
		})
	})
	payload := rapid.Custom(func(t *rapid.T) any {
		return object(t, map[string]*rapid.Generator[any]{
			"content": content, "viewer": viewer, "registration": registration, "tracking": value(true, false), "ranges": ranges, "completed": value(true),
			"label": value("Buy"), "url": value("https://x.example/buy?q"), "page": value(1.0, 2.0, 3.0, 100000.0, 100001.0, 0.0), "dwellSeconds": value(1.0, 14.2, 86400.0, 86401.0),
			"unknown": value("x"),
		})
	})
	types := make([]any, 0, 7)
	for _, kind := range event.Types() {
		types = append(types, kind)
	}
	return object(t, map[string]*rapid.Generator[any]{
		"specversion": value("1.0"), "id": value("e-1", strings.Repeat("長", 128)), "source": value("https://x.example"), "type": value(types...),
		"time": value("2026-11-23T09:10:11Z", "2026-11-23T18:10:11.123456789+09:00"), "workspace": value("acme"), "session": value("s"),
		"data": payload, "extension": value("x"),
	})
}

func sortedKeys(m map[string]*rapid.Generator[any]) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	for i := range keys { // few keys
		for j := i; j > 0 && keys[j] < keys[j-1]; j-- {
			keys[j], keys[j-1] = keys[j-1], keys[j]
		}
	}
	return keys
}

// TestSchemaAndDecoderAgree holds the published JSON Schema against the decoder on generated events, right and wrong.
func TestSchemaAndDecoderAgree(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-2")
	schema := compileSchema(t)
	d := event.NewDecoder()
	var accepted, refused int
	rapid.Check(t, func(t *rapid.T) {
		value, err := json.Marshal(drawEvent(t))
		require.NoError(t, err)
		e, err := d.Structured(value)
		if err == nil {
			if e.GetWorkspace() == "" {
				e.Workspace = "acme" // as a bound topic does
			}
			event.Tidy(e)
			err = event.Check(e)
		}
		schemaErr := validate(t, schema, value)
		require.Equal(t, schemaErr == nil, err == nil, "%s\nschema: %v\ndecoder: %v", value, schemaErr, err)
		if err == nil {
			accepted++
		} else {
			refused++
		}
	})
	t.Logf("%d accepted, %d refused", accepted, refused)
	require.NotZero(t, accepted)
	require.NotZero(t, refused)
}

// mostly draws one of the good values, sometimes one of the bad.
func mostly[T any](good, bad []T) *rapid.Generator[T] {
	return rapid.Custom(func(t *rapid.T) T {
		if usually(30).Draw(t, "fits") {
			return rapid.SampledFrom(good).Draw(t, "good")
		}
		return rapid.SampledFrom(bad).Draw(t, "bad")
	})
}

func drawMessage(t *rapid.T) *sourcev1.ViewingEvent {
	id := mostly([]string{"e-1", "\u0085", strings.Repeat("長", 128)}, []string{"", "a\nb", "a\x7f", strings.Repeat("長", 129)})
	text := func(limit int) *rapid.Generator[string] {
		return mostly([]string{"", "x", strings.Repeat("長", limit)}, []string{strings.Repeat("長", limit+1)})
	}
	number := func(most float64) *rapid.Generator[float64] {
		return mostly([]float64{0, 1, most}, []float64{math.Nextafter(most, math.Inf(1)), -1, math.NaN(), math.Inf(1), math.Inf(-1)})
	}
	at := mostly([]*timestamppb.Timestamp{timestamppb.New(time.Unix(1e9, 0))}, []*timestamppb.Timestamp{nil})
	e := &sourcev1.ViewingEvent{
		Id: id.Draw(t, "id"), Session: id.Draw(t, "session"), Time: at.Draw(t, "time"),
		Workspace: mostly([]string{"acme", "0-9", strings.Repeat("a", 64)},
			[]string{"", "-a", "A", "a_b", "a\n", strings.Repeat("a", 65)}).Draw(t, "workspace"),
	}
	if usually(20).Draw(t, "content") {
		e.Content = &sourcev1.Content{
			Id: id.Draw(t, "content id"), Title: text(1024).Draw(t, "title"), Url: text(2048).Draw(t, "url"),
			LengthSeconds: number(604800).Draw(t, "length"), PageCount: mostly([]uint32{0, 9, 100000}, []uint32{100001}).Draw(t, "pages"),
			OwnerEmail: text(254).Draw(t, "owner"), OwnerName: text(255).Draw(t, "owner name"), PublishedAt: at.Draw(t, "published"),
		}
	}
	if rapid.Bool().Draw(t, "viewer") {
		e.Viewer = &sourcev1.Viewer{
			Email: text(320).Draw(t, "email"), Name: text(255).Draw(t, "name"),
			Evidence: sourcev1.Evidence(mostly([]int32{0, 1, 2, 3}, []int32{-1, 4}).Draw(t, "evidence")),
		}
	}
	page := mostly([]uint32{1, 9, 100000}, []uint32{0, 100001})
	switch mostly([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, []int{0}).Draw(t, "detail") {
	case 1:
		e.Detail = &sourcev1.ViewingEvent_VideoStarted{VideoStarted: &sourcev1.VideoStarted{}}
	case 2:
		p := &sourcev1.VideoProgress{}
		for range mostly([]int{1, 2, 256}, []int{0, 257}).Draw(t, "ranges") {
			p.Ranges = append(p.Ranges, &sourcev1.TimeRange{To: 1})
		}
		if len(p.GetRanges()) > 0 {
			p.Ranges[0].From, p.Ranges[0].To = number(604800).Draw(t, "from"), number(604800).Draw(t, "to")
		}
		e.Detail = &sourcev1.ViewingEvent_VideoProgress{VideoProgress: p}
	case 3:
		e.Detail = &sourcev1.ViewingEvent_VideoEnded{VideoEnded: &sourcev1.VideoEnded{Completed: true}}
	case 4:
		e.Detail = &sourcev1.ViewingEvent_CallToActionClicked{CallToActionClicked: &sourcev1.CallToActionClicked{
			Label: text(255).Draw(t, "label"), Url: text(2048).Draw(t, "target"),
		}}
	case 5:
		e.Detail = &sourcev1.ViewingEvent_DocumentOpened{DocumentOpened: &sourcev1.DocumentOpened{}}
	case 6:
		e.Detail = &sourcev1.ViewingEvent_PageViewed{PageViewed: &sourcev1.PageViewed{Page: page.Draw(t, "page"), DwellSeconds: number(86400).Draw(t, "dwell")}}
	case 7:
		e.Detail = &sourcev1.ViewingEvent_DocumentClosed{DocumentClosed: &sourcev1.DocumentClosed{Page: page.Draw(t, "exit page")}}
	case 8:
		e.Detail = &sourcev1.ViewingEvent_RegistrationCreated{RegistrationCreated: drawRegistration(t, id, text, at)}
	case 9:
		e.Detail = &sourcev1.ViewingEvent_RegistrationChanged{RegistrationChanged: drawRegistration(t, id, text, at)}
	case 10:
		e.Detail = &sourcev1.ViewingEvent_RegistrationCancelled{RegistrationCancelled: drawRegistration(t, id, text, at)}
	}
	return e
}

func drawRegistration(t *rapid.T, id *rapid.Generator[string], text func(limit int) *rapid.Generator[string], at *rapid.Generator[*timestamppb.Timestamp],
) *sourcev1.Registration {
	r := &sourcev1.Registration{
		Id: id.Draw(t, "registration"), RegisteredAt: at.Draw(t, "registered"), FirstName: text(255).Draw(t, "first name"),
		LastName: text(255).Draw(t, "last name"), Headline: text(255).Draw(t, "headline"), Website: text(2048).Draw(t, "website"),
		Company: text(255).Draw(t, "company"), Test: rapid.Bool().Draw(t, "test"),
	}
	if rapid.Bool().Draw(t, "ticket") {
		r.Ticket = &sourcev1.Ticket{Id: text(128).Draw(t, "ticket id"), Name: text(255).Draw(t, "ticket name"), IntegrationCode: text(255).Draw(t, "code")}
	}
	if rapid.Bool().Draw(t, "origin") {
		r.Origin = &sourcev1.Origin{
			RecordId:     mostly([]string{"", "00QAA0000000001", "00QAA0000000001AAA"}, []string{"00QAA", "00QAA000000000\n", "00QAA00000000長"}).Draw(t, "record"),
			InvitationId: mostly([]string{"", "i-1", strings.Repeat("長", 128)}, []string{"a\nb", strings.Repeat("長", 129)}).Draw(t, "invitation"),
		}
	}
	for range mostly([]int{0, 1, 50}, []int{51}).Draw(t, "tags") {
		r.Tags = append(r.Tags, "tag")
	}
	if len(r.GetTags()) > 0 {
		r.Tags[0] = text(255).Draw(t, "tag")
	}
	for range mostly([]int{0, 1, 200}, []int{201}).Draw(t, "answers") {
		r.Answers = append(r.Answers, &sourcev1.Answer{QuestionId: "q"})
	}
	if len(r.GetAnswers()) > 0 {
		r.Answers[0].QuestionId = id.Draw(t, "question")
		for range mostly([]int{0, 1, 100}, []int{101}).Draw(t, "values") {
			r.Answers[0].Values = append(r.GetAnswers()[0].GetValues(), text(4096).Draw(t, "value"))
		}
	}
	return r
}

// TestCheckAgreesWithProtovalidate proves that the hand-written checks are the rules of the proto file.
func TestCheckAgreesWithProtovalidate(t *testing.T) {
	t.Parallel()
	validator, err := protovalidate.New(protovalidate.WithMessages(&sourcev1.ViewingEvent{}))
	require.NoError(t, err)
	var accepted, refused int
	rapid.Check(t, func(t *rapid.T) {
		e := drawMessage(t)
		want, got := validator.Validate(e), event.Check(e)
		if got == nil {
			accepted++
		} else {
			refused++
		}
		require.Equal(t, want == nil, got == nil, "%v\nprotovalidate: %v\nCheck: %v", e, want, got)

		tidied := proto.CloneOf(e)
		event.Tidy(tidied)
		want, got = validator.Validate(tidied), event.Check(tidied)
		require.Equal(t, want == nil, got == nil, "tidied %v\nprotovalidate: %v\nCheck: %v", tidied, want, got)
	})
	require.NotZero(t, accepted)
	require.NotZero(t, refused)
	t.Logf("%d accepted, %d refused", accepted, refused)
}

func BenchmarkProtovalidate(b *testing.B) {
	validator, err := protovalidate.New(protovalidate.WithMessages(&sourcev1.ViewingEvent{}))
	require.NoError(b, err)
	e, err := event.NewDecoder().Structured([]byte(progressJSON))
	require.NoError(b, err)
	b.Run("protovalidate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := validator.Validate(e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Check", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := event.Check(e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
