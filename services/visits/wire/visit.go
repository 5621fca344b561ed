package wire

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/visits/ranges"
	"github.com/throughline-dev/throughline/services/visits/visit"
)

// Visit builds the stream's form of v as it stands. What counts as a view is decided here, by the rules of now.
func Visit(v *visit.Visit, r visit.Rules) *streamv1.Visit {
	return &streamv1.Visit{
		VisitId:          v.ID,
		Workspace:        v.Workspace,
		Session:          v.Session,
		Content:          contentToProto(&v.Content),
		Subject:          subjectToProto(v.Subject),
		Revision:         v.Revision(),
		State:            stateOf(v),
		CloseCause:       streamv1.CloseCause(v.Cause),
		StartedAt:        Timestamp(v.StartedAt),
		LastActivityAt:   Timestamp(v.LastActivityAt),
		Ranges:           RangesToProto(v.Ranges),
		WatchedSeconds:   v.Watched.Seconds(),
		PercentWatched:   v.Percent(),
		CountsAsView:     v.CountsAsView(r),
		CallToAction:     clicksToProto(&v.Clicks),
		Pages:            pagesToProto(v.Pages),
		ExitPage:         v.ExitPage,
		DwellSeconds:     v.Dwell.Seconds(),
		Activities:       v.Activities,
		FirstEventId:     string(v.FirstEventID),
		LastEventId:      string(v.LastEventID),
		SettingsRevision: v.SettingsRevision,
		ToldUnknown:      v.ToldUnknown,
		Bulk:             v.Bulk,
		FirstClosedAt:    Timestamp(v.FirstClosedAt),
	}
}

// WithdrawnVisit builds the revision that tells a person's totals to forget v, which is about somebody else now.
func WithdrawnVisit(v *visit.Visit, left visit.Subject, r visit.Rules) *streamv1.Visit {
	m := Visit(v, r)
	m.Subject = subjectToProto(left)
	m.Withdrawn = true
	return m
}

func stateOf(v *visit.Visit) streamv1.VisitState {
	if v.Closed {
		return streamv1.VisitState_VISIT_STATE_CLOSED
	}
	return streamv1.VisitState_VISIT_STATE_OPEN
}

func contentToProto(c *visit.Content) *streamv1.Content {
	return &streamv1.Content{
		ContentId:     c.ID,
		Kind:          streamv1.ContentKind(c.Kind),
		Title:         c.Title,
		Url:           c.URL,
		LengthSeconds: c.LengthSeconds,
		PageCount:     c.PageCount,
		OwnerKey:      c.OwnerKey,
		OwnerSealed:   c.OwnerSealed,
		PublishedAt:   Timestamp(c.PublishedAt),
	}
}

func contentFromProto(c *streamv1.Content) visit.Content {
	return visit.Content{
		ID:            c.GetContentId(),
		Kind:          visit.Kind(c.GetKind()),
		Title:         c.GetTitle(),
		URL:           c.GetUrl(),
		LengthSeconds: c.GetLengthSeconds(),
		PageCount:     c.GetPageCount(),
		OwnerKey:      c.GetOwnerKey(),
		OwnerSealed:   c.GetOwnerSealed(),
		PublishedAt:   Instant(c.GetPublishedAt()),
	}
}

func subjectToProto(s visit.Subject) *streamv1.Subject {
	if !s.Known() {
		return nil
	}
	return &streamv1.Subject{PersonKey: s.PersonKey, Sealed: s.Sealed, Evidence: streamv1.Evidence(s.Evidence)}
}

func subjectFromProto(s *streamv1.Subject) visit.Subject {
	return visit.Subject{PersonKey: s.GetPersonKey(), Sealed: s.GetSealed(), Evidence: visit.Evidence(s.GetEvidence())}
}

func clicksToProto(c *visit.Clicks) *streamv1.CallToAction {
	if c.Count == 0 {
		return nil
	}
	return &streamv1.CallToAction{Clicks: c.Count, LastLabel: c.Label, LastUrl: c.URL, LastAt: Timestamp(c.At)}
}

// RangesToProto converts a set; the messages share one allocation.
func RangesToProto(set ranges.Set) []*streamv1.TimeRange {
	if len(set) == 0 {
		return nil
	}
	messages := make([]streamv1.TimeRange, len(set))
	out := make([]*streamv1.TimeRange, len(set))
	for i, r := range set {
		messages[i].From, messages[i].To = r.From, r.To
		out[i] = &messages[i]
	}
	return out
}

// RangesFromProto appends the stretches of messages to set; they must be in order and disjoint.
func RangesFromProto(set ranges.Set, messages []*streamv1.TimeRange) ranges.Set {
	for _, r := range messages {
		set = append(set, ranges.Range{From: r.GetFrom(), To: r.GetTo()})
	}
	return set
}

func pagesToProto(pages []visit.PageDwell) []*streamv1.PageDwell {
	if len(pages) == 0 {
		return nil
	}
	messages := make([]streamv1.PageDwell, len(pages))
	out := make([]*streamv1.PageDwell, len(pages))
	for i, p := range pages {
		messages[i].Page, messages[i].Seconds = p.Page, p.Dwell.Seconds()
		out[i] = &messages[i]
	}
	return out
}

// Timestamp converts a time; the zero time is none.
func Timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// Instant is the other way.
func Instant(ts *timestamppb.Timestamp) time.Time {
	if ts == nil {
		return time.Time{}
	}
	return ts.AsTime()
}
