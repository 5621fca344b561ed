package api

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/notices"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// NoticeStore keeps notices.
type NoticeStore interface {
	Notices(ctx context.Context, workspace string, endedFrom time.Time) ([]store.Notice, error)
	QuietNotice(ctx context.Context, n store.Notice, act store.Act) error
}

// Notifier tells of notices; see notices.Worker.
type Notifier interface {
	Message(ctx context.Context, row store.Notice) (*configv1.Notice, error)
	Check(r *configv1.NoticeRecipient) (field, problem string)
	Test(ctx context.Context, ws *configv1.Workspace, r *configv1.NoticeRecipient) error
}

const (
	// maxQuiet is how long nobody may be told of a notice.
	maxQuiet = 30 * 24 * time.Hour
	// listEnded is how far back notices are listed that have ended.
	listEnded = 30 * 24 * time.Hour
	// maxRecipients bounds a workspace's (promise 7).
	maxRecipients = 50
)

// ListNotices implements configv1.NoticeServiceServer.
func (s *Server) ListNotices(ctx context.Context, req *configv1.ListNoticesRequest) (*configv1.ListNoticesResponse, error) {
	now := s.deps.Clock.Now()
	from := now.Add(time.Hour) // none has ended by then
	if req.GetEnded() {
		from = now.Add(-listEnded)
	}
	rows, err := s.deps.Notices.Notices(ctx, req.GetWorkspace(), from)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListNoticesResponse{}
	for _, row := range rows {
		n, err := s.deps.Notifier.Message(ctx, row)
		if err != nil {
			return nil, err
		}
		resp.Notices = append(resp.Notices, n)
	}
	return resp, nil
}

// QuietNotice implements configv1.NoticeServiceServer.
func (s *Server) QuietNotice(ctx context.Context, req *configv1.QuietNoticeRequest) (*configv1.QuietNoticeResponse, error) {
	now := s.deps.Clock.Now()
	act, err := actOf(ctx, now, nil)
	if err != nil {
		return nil, err
	}
	row := store.Notice{Workspace: req.GetWorkspace(), ID: req.GetNotice()}
	if req.GetUntil() != nil {
		row.QuietUntil, row.QuietBy = req.GetUntil().AsTime(), act.Actor
		if !row.QuietUntil.After(now) || row.QuietUntil.Sub(now) > maxQuiet {
			var v violations
			v.add("until", "want a time within the next 30 days")
			return nil, v.err()
		}
	}
	if err := s.deps.Notices.QuietNotice(ctx, row, act); err != nil {
		return nil, err
	}
	rows, err := s.deps.Notices.Notices(ctx, req.GetWorkspace(), time.Time{}.Add(time.Second))
	if err != nil {
		return nil, err
	}
	for _, found := range rows {
		if found.ID == req.GetNotice() {
			n, err := s.deps.Notifier.Message(ctx, found)
			return &configv1.QuietNoticeResponse{Notice: n}, err
		}
	}
	return nil, store.ErrNotFound
}

func recipientKey(workspace, id string) store.Key {
	return store.Key{Workspace: workspace, Kind: store.KindRecipient, ID: id}
}

// PutNoticeRecipient implements configv1.NoticeServiceServer.
func (s *Server) PutNoticeRecipient(ctx context.Context, req *configv1.PutNoticeRecipientRequest) (*configv1.PutNoticeRecipientResponse, error) {
	saved := proto.CloneOf(req.GetRecipient())
	if err := s.requireWorkspace(ctx, saved.GetWorkspace()); err != nil {
		return nil, err
	}
	sealed, err := s.sealRecipient(ctx, saved)
	if err != nil {
		return nil, err
	}
	expected := saved.GetVersion()
	saved.Version = expected + 1
	notices.Hide(saved)
	if err := s.save(ctx, recipientKey(saved.GetWorkspace(), saved.GetId()), expected, saved, sealed); err != nil {
		return nil, err
	}
	return &configv1.PutNoticeRecipientResponse{Recipient: saved}, nil
}

// sealRecipient checks the channel and seals it; nil keeps the one there is, whose kind it fills in.
func (s *Server) sealRecipient(ctx context.Context, r *configv1.NoticeRecipient) ([]byte, error) {
	docs, err := s.deps.Documents.List(ctx, r.GetWorkspace(), store.KindRecipient)
	if err != nil {
		return nil, err
	}
	known := 0
	for _, doc := range docs {
		switch {
		case doc.ID == r.GetId() && r.GetChannel() == nil && len(doc.Sealed) > 0:
			old := &configv1.NoticeRecipient{}
			if err := decode(doc, old); err != nil {
				return nil, err
			}
			r.Channel = old.GetChannel()
			return nil, nil
		case doc.ID != r.GetId() && len(doc.Sealed) > 0:
			known++
		}
	}
	if known >= maxRecipients {
		return nil, status.Errorf(codes.FailedPrecondition, "workspace %q has %d recipients already: remove one", r.GetWorkspace(), known)
	}
	if field, problem := s.deps.Notifier.Check(r); problem != "" {
		var v violations
		v.add(field, "%s", problem)
		return nil, v.err()
	}
	return notices.Seal(s.deps.Installation, r)
}

// ListNoticeRecipients implements configv1.NoticeServiceServer.
func (s *Server) ListNoticeRecipients(ctx context.Context, req *configv1.ListNoticeRecipientsRequest) (*configv1.ListNoticeRecipientsResponse, error) {
	docs, err := s.deps.Documents.List(ctx, req.GetWorkspace(), store.KindRecipient)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListNoticeRecipientsResponse{}
	for _, doc := range docs {
		if len(doc.Sealed) == 0 { // removed
			continue
		}
		r := &configv1.NoticeRecipient{}
		if err := decode(doc, r); err != nil {
			return nil, err
		}
		resp.Recipients = append(resp.Recipients, r)
	}
	return resp, nil
}

// RemoveNoticeRecipient implements configv1.NoticeServiceServer. The address goes; a version without it stays, for the history.
func (s *Server) RemoveNoticeRecipient(ctx context.Context, req *configv1.RemoveNoticeRecipientRequest) (*configv1.RemoveNoticeRecipientResponse, error) {
	r := &configv1.NoticeRecipient{}
	doc, err := s.load(ctx, recipientKey(req.GetWorkspace(), req.GetRecipient()), r)
	if err != nil {
		return nil, err
	}
	if len(doc.Sealed) == 0 {
		return &configv1.RemoveNoticeRecipientResponse{}, nil
	}
	r.Channel, r.Version = nil, doc.Version+1
	return &configv1.RemoveNoticeRecipientResponse{}, s.save(ctx, doc.Key, doc.Version, r, []byte{})
}

// TestNoticeRecipient implements configv1.NoticeServiceServer.
func (s *Server) TestNoticeRecipient(ctx context.Context, req *configv1.TestNoticeRecipientRequest) (*configv1.TestNoticeRecipientResponse, error) {
	doc, err := s.deps.Documents.Get(ctx, recipientKey(req.GetWorkspace(), req.GetRecipient()))
	if err == nil && len(doc.Sealed) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	r, err := notices.Open(s.deps.Installation, doc)
	if err != nil {
		return nil, err
	}
	ws := &configv1.Workspace{}
	if _, err := s.load(ctx, workspaceKey(req.GetWorkspace()), ws); err != nil {
		return nil, err
	}
	if err := s.deps.Notifier.Test(ctx, ws, r); err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		return nil, status.Errorf(codes.FailedPrecondition, "recipient %s of workspace %s: %s", req.GetRecipient(), req.GetWorkspace(), err)
	}
	return &configv1.TestNoticeRecipientResponse{}, nil
}
