package oracle

import (
	"google.golang.org/protobuf/proto"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
)

// parseProtobuf reads a bare ViewingEvent into the words of its CloudEvents form.
func parseProtobuf(value []byte) (*event, error) {
	var m sourcev1.ViewingEvent
	if err := proto.Unmarshal(value, &m); err != nil || m.GetTime() == nil || m.GetContent() == nil {
		return nil, errSchema
	}
	c := m.GetContent()
	e := &event{
		ID: m.GetId(), Workspace: m.GetWorkspace(), Session: m.GetSession(), Time: m.GetTime().AsTime(),
		Data: &data{
			Content: &contentData{
				ID: c.GetId(), Title: c.GetTitle(), URL: c.GetUrl(), Length: c.GetLengthSeconds(),
				Pages: int(c.GetPageCount()), OwnerEmail: c.GetOwnerEmail(), OwnerName: c.GetOwnerName(),
			},
			Viewer:   viewerData{Email: m.GetViewer().GetEmail(), Name: m.GetViewer().GetName()},
			Tracking: m.Tracking,
		},
	}
	switch m.GetViewer().GetEvidence() {
	case sourcev1.Evidence_EVIDENCE_SIGNED_IN:
		e.Data.Viewer.Evidence = "signed_in"
	case sourcev1.Evidence_EVIDENCE_ASKED:
		e.Data.Viewer.Evidence = "asked"
	case sourcev1.Evidence_EVIDENCE_LINK:
		e.Data.Viewer.Evidence = "link"
	case sourcev1.Evidence_EVIDENCE_UNSPECIFIED:
	}
	e.detail(&m)
	return e, e.check()
}

func (e *event) detail(m *sourcev1.ViewingEvent) {
	switch d := m.GetDetail().(type) {
	case *sourcev1.ViewingEvent_VideoStarted:
		e.Type = "throughline.video.started.v1"
	case *sourcev1.ViewingEvent_VideoProgress:
		e.Type = "throughline.video.progress.v1"
		for _, r := range d.VideoProgress.GetRanges() {
			e.Data.Ranges = append(e.Data.Ranges, rangeData{From: r.GetFrom(), To: r.GetTo()})
		}
	case *sourcev1.ViewingEvent_VideoEnded:
		e.Type, e.Data.Completed = "throughline.video.ended.v1", d.VideoEnded.GetCompleted()
	case *sourcev1.ViewingEvent_CallToActionClicked:
		e.Type = "throughline.video.cta_clicked.v1"
		e.Data.Label, e.Data.URL = d.CallToActionClicked.GetLabel(), d.CallToActionClicked.GetUrl()
	case *sourcev1.ViewingEvent_DocumentOpened:
		e.Type = "throughline.document.opened.v1"
	case *sourcev1.ViewingEvent_PageViewed:
		e.Type = "throughline.document.page_viewed.v1"
		e.Data.Page, e.Data.Dwell = int(d.PageViewed.GetPage()), d.PageViewed.GetDwellSeconds()
	case *sourcev1.ViewingEvent_DocumentClosed:
		e.Type, e.Data.Page = "throughline.document.closed.v1", int(d.DocumentClosed.GetPage())
	}
}
