package wire

import (
	"errors"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/visits/visit"
)

// Registration builds the visit that stands for a registration. It is made of the activity alone: whatever came before it, and
// however often it comes, the visit is the same (promise 5).
func Registration(a *visit.Activity) (*streamv1.Visit, error) {
	r := &streamv1.Registration{}
	switch err := proto.Unmarshal(a.Registration, r); {
	case err != nil:
		return nil, errors.New("not a registration") // the decoder's text could quote what it read (promise 8)
	case r.GetRegistrationId() == "":
		return nil, errors.New("a registration without an id")
	case len(a.Subject.PersonKey) == 0:
		return nil, errors.New("a registration without a person")
	}
	at := timestamppb.New(a.At)
	workspace, session, content := string(a.Workspace), string(a.Session), string(a.Content.ID)
	return &streamv1.Visit{
		VisitId: ids.VisitID(workspace, session, content), Workspace: workspace, Session: session,
		Content: &streamv1.Content{
			ContentId: content, Kind: streamv1.ContentKind(a.Content.Kind), Title: string(a.Content.Title), Url: string(a.Content.URL),
			PublishedAt: Timestamp(a.Content.PublishedAt),
		},
		Subject: &streamv1.Subject{
			PersonKey: string(a.Subject.PersonKey), Sealed: a.Subject.Sealed, Evidence: streamv1.Evidence(a.Subject.Evidence),
		},
		Revision: 4*a.At.UnixMicro() + int64(r.GetChange()),
		State:    streamv1.VisitState_VISIT_STATE_CLOSED, CloseCause: streamv1.CloseCause_CLOSE_CAUSE_EXPLICIT,
		StartedAt: at, LastActivityAt: at, FirstClosedAt: at, Activities: 1,
		FirstEventId: string(a.EventID), LastEventId: string(a.EventID), SettingsRevision: a.SettingsRevision,
		Registration: r, Bulk: a.Bulk,
	}, nil
}
