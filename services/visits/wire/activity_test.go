package wire_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/visits/visit"
	"github.com/throughline-dev/throughline/services/visits/wire"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 5_000_000, time.UTC)

func activity(detail func(*streamv1.Activity)) *streamv1.Activity {
	a := &streamv1.Activity{
		EventId:    "0190b6c1-7e5f-7d6a-9a43-3f0a5d9a4c11",
		Workspace:  "acme",
		Session:    "0190b6c1-7e5f-7d6a-9a43-3f0a5d9a4c12",
		OccurredAt: timestamppb.New(noon),
		ReceivedAt: timestamppb.New(noon.Add(time.Second)),
		Content: &streamv1.Content{
			ContentId:     "content-000123",
			Kind:          streamv1.ContentKind_CONTENT_KIND_VIDEO,
			Title:         "新しいお客様を一週間で迎える方法",
			Url:           "https://video.example/v/content-000123",
			LengthSeconds: 612.5,
			PageCount:     3,
			OwnerKey:      "abcdefghijklmnopqrstuv",
			OwnerSealed:   make([]byte, 90),
			PublishedAt:   timestamppb.New(noon.Add(-time.Hour)),
		},
		Subject: &streamv1.Subject{
			PersonKey: "vutsrqponmlkjihgfedcba",
			Sealed:    make([]byte, 90),
			Evidence:  streamv1.Evidence_EVIDENCE_ASKED,
		},
		SettingsRevision: 12,
	}
	detail(a)
	return a
}

func details() []func(*streamv1.Activity) {
	return []func(*streamv1.Activity){
		func(a *streamv1.Activity) {
			a.Detail = &streamv1.Activity_VideoStarted{VideoStarted: &streamv1.VideoStarted{}}
		},
		func(a *streamv1.Activity) {
			a.Detail = &streamv1.Activity_VideoProgress{VideoProgress: &streamv1.VideoProgress{
				Ranges: []*streamv1.TimeRange{{From: 0, To: 10}, {From: 4.5, To: 12.25}},
			}}
		},
		func(a *streamv1.Activity) {
			a.Detail = &streamv1.Activity_VideoEnded{VideoEnded: &streamv1.VideoEnded{Completed: true}}
		},
		func(a *streamv1.Activity) {
			a.Detail = &streamv1.Activity_CallToActionClicked{CallToActionClicked: &streamv1.CallToActionClicked{Label: "Book", Url: "https://x.example/book"}}
		},
		func(a *streamv1.Activity) {
			a.Detail = &streamv1.Activity_DocumentOpened{DocumentOpened: &streamv1.DocumentOpened{}}
		},
		func(a *streamv1.Activity) {
			a.Detail = &streamv1.Activity_PageViewed{PageViewed: &streamv1.PageViewed{Page: 3, DwellSeconds: 7.5}}
		},
		func(a *streamv1.Activity) {
			a.Detail = &streamv1.Activity_DocumentClosed{DocumentClosed: &streamv1.DocumentClosed{Page: 9}}
		},
		func(a *streamv1.Activity) { a.Subject, a.Content.OwnerSealed, a.Content.PublishedAt = nil, nil, nil },
	}
}

func encode(t testing.TB, a *streamv1.Activity) []byte {
	t.Helper()
	value, err := proto.Marshal(a)
	require.NoError(t, err)
	return value
}

// requireSame holds what was read to what the generated code reads.
func requireSame(t *testing.T, want *streamv1.Activity, got *visit.Activity) {
	t.Helper()
	require.Equal(t, want.GetEventId(), string(got.EventID))
	require.Equal(t, want.GetWorkspace(), string(got.Workspace))
	require.Equal(t, want.GetSession(), string(got.Session))
	require.Equal(t, want.GetSettingsRevision(), got.SettingsRevision)
	sameTime(t, want.GetOccurredAt(), got.At)

	c := want.GetContent()
	require.Equal(t, c.GetContentId(), string(got.Content.ID))
	require.Equal(t, c.GetTitle(), string(got.Content.Title))
	require.Equal(t, c.GetUrl(), string(got.Content.URL))
	require.Equal(t, c.GetOwnerKey(), string(got.Content.OwnerKey))
	require.Equal(t, string(c.GetOwnerSealed()), string(got.Content.OwnerSealed))
	require.EqualValues(t, c.GetKind(), got.Content.Kind)
	require.Equal(t, c.GetPageCount(), got.Content.PageCount)
	sameFloat(t, c.GetLengthSeconds(), got.Content.LengthSeconds)
	sameTime(t, c.GetPublishedAt(), got.Content.PublishedAt)

	require.Equal(t, want.GetSubject().GetPersonKey(), string(got.Subject.PersonKey))
	require.Equal(t, string(want.GetSubject().GetSealed()), string(got.Subject.Sealed))
	require.EqualValues(t, want.GetSubject().GetEvidence(), got.Subject.Evidence)
	requireSameDetail(t, want, got)
}

func requireSameDetail(t *testing.T, want *streamv1.Activity, got *visit.Activity) {
	t.Helper()
	actions := map[bool]visit.Action{
		want.GetVideoStarted() != nil:        visit.ActionVideoStarted,
		want.GetVideoProgress() != nil:       visit.ActionVideoProgress,
		want.GetVideoEnded() != nil:          visit.ActionVideoEnded,
		want.GetCallToActionClicked() != nil: visit.ActionClicked,
		want.GetDocumentOpened() != nil:      visit.ActionDocumentOpened,
		want.GetPageViewed() != nil:          visit.ActionPageViewed,
		want.GetDocumentClosed() != nil:      visit.ActionDocumentClosed,
	}
	require.Equal(t, actions[true], got.Action)
	require.Equal(t, want.GetVideoEnded().GetCompleted(), got.Completed)
	require.Equal(t, want.GetCallToActionClicked().GetLabel(), string(got.Label))
	require.Equal(t, want.GetCallToActionClicked().GetUrl(), string(got.URL))
	require.Equal(t, want.GetPageViewed().GetPage()+want.GetDocumentClosed().GetPage(), got.Page)
	sameFloat(t, want.GetPageViewed().GetDwellSeconds(), got.DwellSeconds)
	require.Len(t, got.Ranges, len(want.GetVideoProgress().GetRanges()))
	for i, r := range want.GetVideoProgress().GetRanges() {
		sameFloat(t, r.GetFrom(), got.Ranges[i].From)
		sameFloat(t, r.GetTo(), got.Ranges[i].To)
	}
}

func sameFloat(t *testing.T, want, got float64) {
	t.Helper()
	require.Equal(t, math.Float64bits(want), math.Float64bits(got))
}

func sameTime(t *testing.T, want *timestamppb.Timestamp, got time.Time) {
	t.Helper()
	if want == nil {
		require.True(t, got.IsZero())
		return
	}
	require.True(t, want.AsTime().Equal(got), "%s is not %s", got, want.AsTime())
}

func TestReadActivity(t *testing.T) {
	t.Parallel()

	t.Run("ReadsWhatTheGeneratedCodeReads", func(t *testing.T) {
		t.Parallel()
		var got visit.Activity
		for _, detail := range details() {
			want := activity(detail)
			require.NoError(t, wire.ReadActivity(encode(t, want), &got))
			requireSame(t, want, &got)
		}
	})

	t.Run("RefusesWhatLacksAnIdOrATime", func(t *testing.T) {
		t.Parallel()
		for missing, change := range map[string]func(*streamv1.Activity){
			"event id":   func(a *streamv1.Activity) { a.EventId = "" },
			"workspace":  func(a *streamv1.Activity) { a.Workspace = "" },
			"session":    func(a *streamv1.Activity) { a.Session = "" },
			"content id": func(a *streamv1.Activity) { a.Content = nil },
			"time":       func(a *streamv1.Activity) { a.OccurredAt = nil },
		} {
			var got visit.Activity
			require.ErrorContains(t, wire.ReadActivity(encode(t, activity(change)), &got), missing)
		}
	})

	t.Run("RefusesGarbage", func(t *testing.T) {
		t.Parallel()
		var got visit.Activity
		require.Error(t, wire.ReadActivity([]byte("{\"id\":1}"), &got))
		require.Error(t, wire.ReadActivity([]byte{0x0a, 0xff}, &got))
		require.Error(t, wire.ReadActivity([]byte{0x0a, 0x01, 0xff}, &got), "not UTF-8")
	})
}

func TestReadActivityAllocatesNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts what every goroutine allocates.
	var got visit.Activity
	value := encode(t, activity(details()[1]))
	require.NoError(t, wire.ReadActivity(value, &got))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = wire.ReadActivity(value, &got) }))
}

func FuzzReadActivity(f *testing.F) {
	for _, detail := range details() {
		f.Add(encode(f, activity(detail)))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var got visit.Activity
		var want streamv1.Activity
		err := wire.ReadActivity(value, &got)
		if proto.Unmarshal(value, &want) != nil {
			require.Error(t, err, "the generated code refuses it")
			return
		}
		published := want.GetContent().GetPublishedAt()
		if err != nil || want.GetOccurredAt().CheckValid() != nil || (published != nil && published.CheckValid() != nil) {
			return
		}
		requireSame(t, &want, &got)
	})
}

func BenchmarkReadActivity(b *testing.B) {
	value := encode(b, activity(details()[1]))
	var a visit.Activity
	b.ReportAllocs()
	for b.Loop() {
		if err := wire.ReadActivity(value, &a); err != nil {
			b.Fatal(err)
		}
	}
}
