package generator

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
)

// protobuf appends a source.v1.ViewingEvent.
func (w *scribe) protobuf(dst []byte, s *session, st *step) []byte {
	c := s.contents[st.content]
	e := w.envelope(s, st)
	ev := &sourcev1.ViewingEvent{
		Id: string(e.id), Workspace: e.workspace, Session: s.key, Time: timestamppb.New(time.UnixMilli(st.at)),
		Content: c.proto, Viewer: s.identities[st.viewer].proto, Tracking: c.Snapshot,
	}
	detail(ev, c, st)
	out, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, ev)
	if err != nil {
		panic("generator: " + err.Error()) // texts are valid UTF-8, so this cannot happen
	}
	return out
}

func detail(ev *sourcev1.ViewingEvent, c *content, st *step) {
	switch st.verb {
	case registrationCreated, registrationChanged, registrationCancelled: // are written as JSON
	case videoStarted:
		ev.Detail = &sourcev1.ViewingEvent_VideoStarted{VideoStarted: &sourcev1.VideoStarted{}}
	case videoProgress:
		ranges := make([]*sourcev1.TimeRange, len(st.spans))
		for i, sp := range st.spans {
			ranges[i] = &sourcev1.TimeRange{From: sp.from, To: sp.to}
		}
		ev.Detail = &sourcev1.ViewingEvent_VideoProgress{VideoProgress: &sourcev1.VideoProgress{Ranges: ranges}}
	case videoEnded:
		ev.Detail = &sourcev1.ViewingEvent_VideoEnded{VideoEnded: &sourcev1.VideoEnded{Completed: st.completed}}
	case ctaClicked:
		ev.Detail = &sourcev1.ViewingEvent_CallToActionClicked{
			CallToActionClicked: &sourcev1.CallToActionClicked{Label: c.CallToAction, Url: c.target},
		}
	case documentOpened:
		ev.Detail = &sourcev1.ViewingEvent_DocumentOpened{DocumentOpened: &sourcev1.DocumentOpened{}}
	case pageViewed:
		ev.Detail = &sourcev1.ViewingEvent_PageViewed{
			PageViewed: &sourcev1.PageViewed{Page: uint32(st.page), DwellSeconds: st.dwell},
		}
	case documentClosed:
		ev.Detail = &sourcev1.ViewingEvent_DocumentClosed{
			DocumentClosed: &sourcev1.DocumentClosed{Page: uint32(st.page)},
		}
	}
}
