package integrationtest

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Ids and addresses that the inputs use.
const (
	Viewer     = "hanako.sato@example.co.jp"
	Owner      = "taro.yamada@acme.example"
	LeadID     = "00QAA0000000001AAA"
	ContactID  = "003AA0000000001AAA"
	AccountID  = "001AA0000000001AAA"
	RecordUser = "005AA0000000001AAA"
	OwnerUser  = "005AA0000000002AAA"
	QueueID    = "00GAA0000000001AAA"
)

// Left is when the viewer left: 15:30 UTC on 1 March, which is 2 March in Japan.
var Left = time.Date(2026, 3, 1, 15, 30, 0, 0, time.UTC)

// Document is a closed visit to a document by a viewer who is a Lead and a Contact, in an org in Japan.
func Document() *integration.Input {
	content := &streamv1.Content{
		ContentId: "doc-1", Kind: streamv1.ContentKind_CONTENT_KIND_DOCUMENT, Title: "Price list 2026",
		Url: "https://box.example/d/doc-1", PageCount: 12, PublishedAt: at(-240 * time.Hour),
	}
	return input(content, &streamv1.Visit{
		Pages:    []*streamv1.PageDwell{{Page: 1, Seconds: 65}, {Page: 7, Seconds: 20.4}},
		ExitPage: 7, DwellSeconds: 85.4,
	}, func(e *streamv1.Engagement) { e.DwellSeconds = 3723.4 })
}

// Video is a closed visit to a video by the same viewer.
func Video() *integration.Input {
	content := &streamv1.Content{
		ContentId: "vid-1", Kind: streamv1.ContentKind_CONTENT_KIND_VIDEO, Title: "Product tour",
		Url: "https://video.example/v/vid-1", LengthSeconds: 240, PublishedAt: at(-240 * time.Hour),
	}
	cta := &streamv1.CallToAction{Clicks: 2, LastLabel: "Book a demo", LastUrl: "https://acme.example/demo", LastAt: at(-time.Minute)}
	ranges := []*streamv1.TimeRange{{From: 0, To: 80}}
	return input(content, &streamv1.Visit{
		Ranges: ranges, WatchedSeconds: 95.25, PercentWatched: 33.333333333, CallToAction: cta,
	}, func(e *streamv1.Engagement) {
		e.Ranges, e.WatchedSeconds, e.PercentWatched, e.CallToAction = ranges, 190.5, 66.666666666, cta
	})
}

func input(content *streamv1.Content, visit *streamv1.Visit, totals func(*streamv1.Engagement)) *integration.Input {
	visit.VisitId, visit.Workspace, visit.Session = "visit-1", "acme", "session-1"
	visit.Content, visit.Revision = content, 85
	visit.State, visit.CloseCause = streamv1.VisitState_VISIT_STATE_CLOSED, streamv1.CloseCause_CLOSE_CAUSE_EXPLICIT
	visit.StartedAt, visit.LastActivityAt = at(-10*time.Minute), at(0)
	visit.CountsAsView, visit.Activities = true, 9
	visit.FirstEventId, visit.LastEventId, visit.SettingsRevision = "event-1", "event-9", 3
	visit.Subject = subject()
	engagement := &streamv1.Engagement{
		EngagementId: "engagement-1", Workspace: "acme", Subject: subject(), Content: content, Revision: 43,
		Visits: 3, Views: 2, FirstViewedAt: at(-72 * time.Hour), LastViewedAt: at(0), Visit: visit,
	}
	totals(engagement)
	return &integration.Input{
		Resolved: &streamv1.Resolved{
			Engagement: engagement, Connection: "main", Resolution: resolution(),
			OrgTimeZone: "Asia/Tokyo", SettingsRevision: 3,
		},
		Viewer:     &streamv1.PersonalData{Email: Viewer, Name: "佐藤 花子"},
		Owner:      &streamv1.PersonalData{Email: Owner, Name: "Taro Yamada"},
		HistoryURL: "https://app.example/acme/people/pk_0123456789abcdefghij",
		TraceID:    "4bf92f3577b34da6a3ce929d0e0e4736",
	}
}

func subject() *streamv1.Subject {
	return &streamv1.Subject{PersonKey: "pk_0123456789abcdefghij", Evidence: streamv1.Evidence_EVIDENCE_ASKED}
}

func resolution() *streamv1.Resolution {
	lead := &streamv1.Person{
		RecordId: LeadID, Object: "Lead", OwnerId: RecordUser, OwnerActive: true, OwnerLanguage: "ja",
	}
	return &streamv1.Resolution{
		Lead:   lead,
		Person: lead,
		Contact: &streamv1.Person{
			RecordId: ContactID, Object: "Contact", OwnerId: RecordUser, OwnerActive: true, AccountId: AccountID, OwnerLanguage: "ja",
		},
		ContentOwner: &streamv1.Person{
			RecordId: OwnerUser, Object: "User", OwnerId: OwnerUser, OwnerActive: true, OwnerLanguage: "en_US",
		},
		Policy: "default", AskedAt: at(0),
	}
}

func at(after time.Duration) *timestamppb.Timestamp { return timestamppb.New(Left.Add(after)) }

// Fields indexes a record's fields by name: text, number and flag as Go values, null as nil.
func Fields(fields []*streamv1.FieldValue) map[string]any {
	byName := make(map[string]any, len(fields))
	for _, f := range fields {
		switch v := f.GetValue().(type) {
		case *streamv1.FieldValue_Text:
			byName[f.GetField()] = v.Text
		case *streamv1.FieldValue_Number:
			byName[f.GetField()] = v.Number
		case *streamv1.FieldValue_Flag:
			byName[f.GetField()] = v.Flag
		default:
			byName[f.GetField()] = nil
		}
	}
	return byName
}
