package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/reports"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// ReportLog reads runs and lets them stop.
type ReportLog interface {
	Run(ctx context.Context, workspace, id string) (store.ReportRun, error)
	Runs(ctx context.Context, q store.RunsQuery) ([]store.ReportRun, error)
	StopRun(ctx context.Context, workspace, id, why string, by store.Act) error
}

// ReportRows reads what runs did.
type ReportRows interface {
	RunChunks(ctx context.Context, workspace, run string) ([][]byte, error)
	RunRows(ctx context.Context, workspace, run string, after store.RunRow, limit int) ([]store.RunRow, error)
}

// ReportRecorder keeps what the sync service tells.
type ReportRecorder interface {
	NoteDelivery(ctx context.Context, d store.ReportDelivery) error
	RecordRun(ctx context.Context, rec store.RunRecord) (stop bool, err error)
}

// ReportDeps is what a Reports works with; all of it is required.
type ReportDeps struct {
	Pushes   PushStore
	Log      ReportLog
	Rows     ReportRows
	Recorder ReportRecorder
	Runner   *reports.Runner
	// Lease is how long a claim holds after it was renewed.
	Lease time.Duration
}

// NoteReportDelivery implements configv1.ReportRunServiceServer.
func (r *Reports) NoteReportDelivery(ctx context.Context, req *configv1.NoteReportDeliveryRequest) (*configv1.NoteReportDeliveryResponse, error) {
	d := req.GetDelivery()
	if !d.GetCompletedAt().IsValid() {
		var v violations
		v.add("delivery.completed_at", "not a valid time")
		return nil, v.err()
	}
	_, err := r.docs.load(ctx, reportKey(d.GetWorkspace(), d.GetReport()), &configv1.Report{})
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "workspace %q has no report %q: register it before it is delivered", d.GetWorkspace(), d.GetReport())
	}
	if err != nil {
		return nil, err
	}
	body, err := encoding.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode a delivery of report %s: %w", d.GetReport(), err)
	}
	return &configv1.NoteReportDeliveryResponse{}, r.deps.Recorder.NoteDelivery(ctx, store.ReportDelivery{
		Workspace: d.GetWorkspace(), Report: d.GetReport(), ID: d.GetId(), CompletedAt: d.GetCompletedAt().AsTime(),
		Reason: int32(d.GetReason()), Body: body,
	})
}

// ClaimReportRun implements configv1.ReportRunServiceServer.
func (r *Reports) ClaimReportRun(ctx context.Context, req *configv1.ClaimReportRunRequest) (*configv1.ClaimReportRunResponse, error) {
	return r.deps.Runner.Claim(ctx, req.GetWorker())
}

// RecordReportRun implements configv1.ReportRunServiceServer.
func (r *Reports) RecordReportRun(ctx context.Context, req *configv1.RecordReportRunRequest) (*configv1.RecordReportRunResponse, error) {
	now := r.docs.deps.Clock.Now()
	rec := store.RunRecord{
		Workspace: req.GetWorkspace(), Run: req.GetRun(), Worker: req.GetWorker(), Last: req.GetLast(), Reason: int32(req.GetReason()),
		Detail: req.GetDetail(), Now: now, Until: now.Add(r.deps.Lease),
	}
	var err error
	if rec.Chunk, err = chunkOf(req.GetChunk()); err != nil {
		return nil, err
	}
	for _, row := range req.GetRows() {
		kept := proto.CloneOf(row)
		kept.Key, kept.PersonKey = "", "" // promise 8: only sealed, and found by a column of its own
		body, err := encoding.Marshal(kept)
		if err != nil {
			return nil, fmt.Errorf("encode row %d of run %s: %w", row.GetNumber(), req.GetRun(), err)
		}
		rec.Rows = append(rec.Rows, store.RunRow{Number: row.GetNumber(), PersonKey: row.GetPersonKey(), Body: body})
	}
	stop, err := r.deps.Recorder.RecordRun(ctx, rec)
	switch {
	case errors.Is(err, store.ErrStale):
		return nil, status.Errorf(codes.Aborted, "the claim of run %s went to another worker", req.GetRun())
	case errors.Is(err, store.ErrGap):
		return nil, status.Errorf(codes.FailedPrecondition, "chunk %d of run %s was recorded before the one in front of it", req.GetChunk().GetNumber(), req.GetRun())
	case err != nil:
		return nil, err
	}
	return &configv1.RecordReportRunResponse{Stop: stop, ClaimedUntil: timestamppb.New(rec.Until)}, nil
}

func chunkOf(c *configv1.ReportRunChunk) (*store.RunChunk, error) {
	if c == nil {
		return nil, nil
	}
	body, err := encoding.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode chunk %d: %w", c.GetNumber(), err)
	}
	counts := c.GetCounts()
	return &store.RunChunk{
		Number: c.GetNumber(), FirstRow: c.GetFirstRow(), Rows: c.GetRows(), Body: body,
		Counts: store.RunCounts{
			Handed: counts.GetPending(), Unchanged: counts.GetUnchanged(), Unmatched: counts.GetUnmatched(), Ambiguous: counts.GetAmbiguous(),
			BlankKeys: counts.GetBlankKeys(), RepeatedKeys: counts.GetRepeatedKeys(), EqualRows: counts.GetEqualRows(), Failed: counts.GetFailed(),
		},
	}, nil
}
