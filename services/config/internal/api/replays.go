package api

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// AuditWriter takes entries that tell of no change in the store.
type AuditWriter interface {
	AddAudit(ctx context.Context, e store.AuditEntry) error
}

// Replays implements configv1.ReplayServiceServer: replays of dead letters, as the audit log keeps them (XC-7). What is said of
// Server holds here too.
type Replays struct {
	configv1.UnimplementedReplayServiceServer
	log AuditWriter
	now func() time.Time
}

// NewReplays returns a server.
func NewReplays(log AuditWriter, now func() time.Time) *Replays { return &Replays{log: log, now: now} }

// RecordReplay implements configv1.ReplayServiceServer.
func (r *Replays) RecordReplay(ctx context.Context, req *configv1.RecordReplayRequest) (*configv1.RecordReplayResponse, error) {
	act, err := actOf(ctx, r.now(), replayFields(req))
	if err != nil {
		return nil, err
	}
	err = r.log.AddAudit(ctx, store.AuditEntry{Act: act, Workspace: req.GetWorkspace(), Kind: "replay", Target: req.GetReplay()})
	if err != nil {
		return nil, fmt.Errorf("record the replay %s: %w", req.GetReplay(), err)
	}
	return &configv1.RecordReplayResponse{}, nil
}

// replayFields are what is known of a replay, as the audit log shows fields.
func replayFields(req *configv1.RecordReplayRequest) []*configv1.FieldChange {
	var out []*configv1.FieldChange
	add := func(path, value string, absent bool) {
		if !absent {
			out = append(out, &configv1.FieldChange{Path: path, After: value})
		}
	}
	s, done := req.GetScope(), req.GetDone()
	for _, f := range []struct{ path, value string }{
		{"connection", s.GetConnection()},
		{"stage", s.GetStage()},
		{"reason", s.GetReason()},
		{"event", s.GetEvent()},
		{"write", s.GetWrite()},
		{"dead_letter_id", s.GetDeadLetterId()},
		{"from", instantOf(s.GetFrom())},
		{"to", instantOf(s.GetTo())},
		{"from_stage", s.GetFromStage()},
	} {
		add(f.path, strconv.Quote(f.value), f.value == "")
	}
	add("new_mapping", "true", !s.GetNewMapping())
	add("real_time", "true", !s.GetRealTime())
	add("resumed", "true", !s.GetResumed())
	add("rate", strconv.FormatFloat(s.GetRate(), 'f', -1, 64), false)
	if done == nil {
		return out
	}
	add("matched", strconv.FormatInt(done.GetMatched(), 10), false)
	add("replayed", strconv.FormatInt(done.GetReplayed(), 10), false)
	add("unreadable", strconv.FormatInt(done.GetUnreadable(), 10), false)
	add("complete", strconv.FormatBool(done.GetComplete()), false)
	return out
}

func instantOf(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339)
}
