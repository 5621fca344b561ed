package intake

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
)

// parts are the messages of one activity, used again for the next: the bytes are all that remains of it.
type parts struct {
	activity streamv1.Activity
	occurred timestamppb.Timestamp
	received timestamppb.Timestamp
	content  streamv1.Content
	subject  streamv1.Subject
	ranges   []*streamv1.TimeRange

	started  streamv1.Activity_VideoStarted
	progress streamv1.Activity_VideoProgress
	ended    streamv1.Activity_VideoEnded
	clicked  streamv1.Activity_CallToActionClicked
	opened   streamv1.Activity_DocumentOpened
	viewed   streamv1.Activity_PageViewed
	closed   streamv1.Activity_DocumentClosed
}

// start fills in everything but the people.
func (p *parts) start(c *candidate) *streamv1.Activity {
	e, a := c.event, &p.activity
	a.Reset()
	a.EventId, a.Workspace, a.Session = e.GetId(), c.workspace.ID(), e.GetSession()
	a.SettingsRevision = c.view.Revision()
	p.occurred.Seconds, p.occurred.Nanos = e.GetTime().GetSeconds(), e.GetTime().GetNanos()
	setTime(&p.received, c.Received)
	a.OccurredAt, a.ReceivedAt, a.Content = &p.occurred, &p.received, &p.content
	p.fillContent(e.GetContent())
	p.fillDetail(e)
	return a
}

func setTime(to *timestamppb.Timestamp, t time.Time) {
	to.Seconds, to.Nanos = t.Unix(), int32(t.Nanosecond())
}

func (p *parts) fillContent(in *sourcev1.Content) {
	c := &p.content
	c.Reset()
	c.ContentId, c.Title, c.Url = in.GetId(), in.GetTitle(), in.GetUrl()
	c.LengthSeconds, c.PageCount = in.GetLengthSeconds(), in.GetPageCount()
	c.PublishedAt = in.GetPublishedAt()
}

// fillDetail sets what happened, and which kind of content it happened to.
func (p *parts) fillDetail(e *sourcev1.ViewingEvent) {
	if event.RegistrationOf(e) != nil {
		p.content.Kind = streamv1.ContentKind_CONTENT_KIND_EVENT // what is registered is sealed later
		return
	}
	p.content.Kind = streamv1.ContentKind_CONTENT_KIND_VIDEO
	switch in := e.GetDetail().(type) {
	case *sourcev1.ViewingEvent_VideoStarted:
		p.started.VideoStarted = fresh(p.started.VideoStarted)
		p.activity.Detail = &p.started
	case *sourcev1.ViewingEvent_VideoProgress:
		p.fillRanges(in.VideoProgress.GetRanges())
	case *sourcev1.ViewingEvent_VideoEnded:
		p.ended.VideoEnded = fresh(p.ended.VideoEnded)
		p.ended.VideoEnded.Completed = in.VideoEnded.GetCompleted()
		p.activity.Detail = &p.ended
	case *sourcev1.ViewingEvent_CallToActionClicked:
		out := fresh(p.clicked.CallToActionClicked)
		out.Label, out.Url = in.CallToActionClicked.GetLabel(), in.CallToActionClicked.GetUrl()
		p.clicked.CallToActionClicked = out
		p.activity.Detail = &p.clicked
	default:
		p.fillDocument(e)
	}
}

func (p *parts) fillDocument(e *sourcev1.ViewingEvent) {
	p.content.Kind = streamv1.ContentKind_CONTENT_KIND_DOCUMENT
	switch in := e.GetDetail().(type) {
	case *sourcev1.ViewingEvent_DocumentOpened:
		p.opened.DocumentOpened = fresh(p.opened.DocumentOpened)
		p.activity.Detail = &p.opened
	case *sourcev1.ViewingEvent_PageViewed:
		out := fresh(p.viewed.PageViewed)
		out.Page, out.DwellSeconds = in.PageViewed.GetPage(), in.PageViewed.GetDwellSeconds()
		p.viewed.PageViewed = out
		p.activity.Detail = &p.viewed
	case *sourcev1.ViewingEvent_DocumentClosed:
		p.closed.DocumentClosed = fresh(p.closed.DocumentClosed)
		p.closed.DocumentClosed.Page = in.DocumentClosed.GetPage()
		p.activity.Detail = &p.closed
	}
}

func (p *parts) fillRanges(in []*sourcev1.TimeRange) {
	for len(p.ranges) < len(in) {
		p.ranges = append(p.ranges, &streamv1.TimeRange{})
	}
	for i, r := range in {
		p.ranges[i].From, p.ranges[i].To = r.GetFrom(), r.GetTo()
	}
	p.progress.VideoProgress = fresh(p.progress.VideoProgress)
	p.progress.VideoProgress.Ranges = p.ranges[:len(in)]
	p.activity.Detail = &p.progress
}

// fresh returns the message of an earlier event for reuse, or a first one. The caller sets every field.
func fresh[T any](old *T) *T {
	if old == nil {
		old = new(T)
	}
	return old
}
