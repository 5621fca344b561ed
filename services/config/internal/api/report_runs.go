package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/config/internal/reports"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// StartReportRun implements configv1.ReportRunServiceServer.
func (r *Reports) StartReportRun(ctx context.Context, req *configv1.StartReportRunRequest) (*configv1.StartReportRunResponse, error) {
	push := &configv1.ReportPush{}
	if _, err := r.docs.load(ctx, pushKey(req.GetWorkspace(), req.GetPush()), push); err != nil {
		return nil, err
	}
	if err := r.startable(ctx, push); err != nil {
		return nil, err
	}
	by, err := actOf(ctx, r.docs.deps.Clock.Now(), changes.Between(nil, &configv1.ReportRun{
		Push: push.GetId(), PushVersion: push.GetVersion(), Status: configv1.ReportRunStatus_REPORT_RUN_STATUS_RUNNING,
	}))
	if err != nil {
		return nil, err
	}
	run, err := r.deps.Runner.StartNow(ctx, push, by)
	switch {
	case errors.Is(err, store.ErrBusy):
		return nil, withDetail(status.Newf(codes.AlreadyExists, "run %s of push %s is under way; wait for it or stop it", run.ID, push.GetId()),
			&errdetails.ErrorInfo{Reason: "RUN_ACTIVE", Domain: errorDomain, Metadata: map[string]string{"run": run.ID}}).Err()
	case errors.Is(err, store.ErrTooOften):
		return nil, status.Errorf(codes.ResourceExhausted, "push %s was run by hand too often within the last hour; wait, or for the day's run", push.GetId())
	case err != nil:
		return nil, err
	}
	out, err := reports.Message(run, r.docs.deps.Clock.Now())
	return &configv1.StartReportRunResponse{Run: out}, err
}

// startable refuses pushes whose run could only fail (WALK-24).
func (r *Reports) startable(ctx context.Context, push *configv1.ReportPush) error {
	if !push.GetEnabled() {
		why := push.GetPausedBecause()
		if why == "" {
			why = "somebody switched it off"
		}
		return status.Errorf(codes.FailedPrecondition, "push %s is paused: %s; switch it on first", push.GetId(), why)
	}
	report := &configv1.Report{}
	_, err := r.docs.load(ctx, reportKey(push.GetWorkspace(), push.GetReport()), report)
	if errors.Is(err, store.ErrNotFound) {
		return status.Errorf(codes.FailedPrecondition, "push %s is broken: report %s is not there any more", push.GetId(), push.GetReport())
	}
	if err != nil {
		return err
	}
	for _, p := range conform.CheckPush(push, report, nil, false).Problems {
		if p.Column < 0 || !push.GetLeaveOutFields() {
			return status.Errorf(codes.FailedPrecondition, "push %s is broken: %s: %s", push.GetId(), p.Path, p.Message)
		}
	}
	why, err := r.deps.Runner.Disconnected(ctx, push.GetWorkspace(), push.GetConnection())
	if err == nil && why != "" {
		err = status.Error(codes.FailedPrecondition, why)
	}
	return err
}

// StopReportRun implements configv1.ReportRunServiceServer.
func (r *Reports) StopReportRun(ctx context.Context, req *configv1.StopReportRunRequest) (*configv1.StopReportRunResponse, error) {
	const why = "stopped by user"
	by, err := actOf(ctx, r.docs.deps.Clock.Now(), changes.Between(
		&configv1.ReportRun{Status: configv1.ReportRunStatus_REPORT_RUN_STATUS_RUNNING},
		&configv1.ReportRun{Status: configv1.ReportRunStatus_REPORT_RUN_STATUS_FAILED, Detail: why},
	))
	if err != nil {
		return nil, err
	}
	if err := r.deps.Log.StopRun(ctx, req.GetWorkspace(), req.GetRun(), why, by); err != nil {
		return nil, err
	}
	run, err := r.run(ctx, req.GetWorkspace(), req.GetRun())
	return &configv1.StopReportRunResponse{Run: run}, err
}

func (r *Reports) run(ctx context.Context, workspace, id string) (*configv1.ReportRun, error) {
	run, err := r.deps.Log.Run(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	return reports.Message(run, r.docs.deps.Clock.Now())
}

// ListReportRuns implements configv1.ReportRunServiceServer.
func (r *Reports) ListReportRuns(ctx context.Context, req *configv1.ListReportRunsRequest) (*configv1.ListReportRunsResponse, error) {
	size := pageSize(req.GetPageSize())
	q := store.RunsQuery{Workspace: req.GetWorkspace(), Push: req.GetPush(), Limit: size + 1} // one more tells whether there is another page
	filters := runFilters(req.GetWorkspace(), req.GetPush())
	if req.GetPageToken() != "" {
		at, err := decodePage(filters, req.GetPageToken())
		if err != nil {
			return nil, pageViolation(err)
		}
		q.Before, q.BeforeID = at.DecidedAt, at.ID
	}
	runs, err := r.deps.Log.Runs(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListReportRunsResponse{}
	if len(runs) > size {
		runs = runs[:size]
		resp.NextPageToken = encodePage(filters, store.OutcomePosition{DecidedAt: runs[size-1].StartedAt, ID: runs[size-1].ID})
	}
	for _, run := range runs {
		out, err := reports.Message(run, r.docs.deps.Clock.Now())
		if err != nil {
			return nil, err
		}
		resp.Runs = append(resp.Runs, out)
	}
	return resp, nil
}

// GetReportRun implements configv1.ReportRunServiceServer.
func (r *Reports) GetReportRun(ctx context.Context, req *configv1.GetReportRunRequest) (*configv1.GetReportRunResponse, error) {
	run, err := r.run(ctx, req.GetWorkspace(), req.GetRun())
	if err != nil {
		return nil, err
	}
	bodies, err := r.deps.Rows.RunChunks(ctx, req.GetWorkspace(), req.GetRun())
	if err != nil {
		return nil, err
	}
	resp := &configv1.GetReportRunResponse{Run: run}
	for _, body := range bodies {
		c := &configv1.ReportRunChunk{}
		if err := proto.Unmarshal(body, c); err != nil {
			return nil, fmt.Errorf("decode a chunk of run %s: %w", req.GetRun(), err)
		}
		resp.Chunks = append(resp.Chunks, c)
	}
	return resp, nil
}

// ListReportRunRows implements configv1.ReportRunServiceServer.
func (r *Reports) ListReportRunRows(ctx context.Context, req *configv1.ListReportRunRowsRequest) (*configv1.ListReportRunRowsResponse, error) {
	if _, err := r.deps.Log.Run(ctx, req.GetWorkspace(), req.GetRun()); err != nil {
		return nil, err
	}
	size, filters := pageSize(req.GetPageSize()), runFilters(req.GetWorkspace(), req.GetRun())
	var after store.RunRow
	if req.GetPageToken() != "" {
		var err error
		if after, err = decodeRow(filters, req.GetPageToken()); err != nil {
			return nil, pageViolation(err)
		}
	}
	rows, err := r.deps.Rows.RunRows(ctx, req.GetWorkspace(), req.GetRun(), after, size+1)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListReportRunRowsResponse{}
	if len(rows) > size {
		rows = rows[:size]
		resp.NextPageToken = encodeRow(filters, rows[size-1])
	}
	open, err := r.keyOpener(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		out := &configv1.ReportRunRow{}
		if err := proto.Unmarshal(row.Body, out); err != nil {
			return nil, fmt.Errorf("decode row %d of run %s: %w", row.Number, req.GetRun(), err)
		}
		if out.Key, err = open(out.GetSealedKey()); err != nil {
			return nil, err
		}
		out.SealedKey = nil
		resp.Rows = append(resp.Rows, out)
	}
	return resp, nil
}

// keyOpener returns how keys of rows are shown to the caller: as they are to whoever may see personal data, and else masked
// (promise 8). Of a workspace whose keys were destroyed nothing can be shown.
func (r *Reports) keyOpener(ctx context.Context, workspace string) (func(sealed []byte) (string, error), error) {
	doc, err := r.docs.deps.Documents.Get(ctx, workspaceKey(workspace))
	if err != nil {
		return nil, err
	}
	var keys *seal.Keys
	if len(doc.Sealed) > 0 {
		if keys, err = r.docs.deps.Installation.OpenKeys(workspace, doc.Sealed); err != nil {
			return nil, err
		}
	}
	role := auth.FromContext(ctx).For(workspace).Role
	plain := auth.FromContext(ctx).Scopes == nil && (role == auth.RoleOwner || role == auth.RolePrivacyOfficer)
	return func(sealed []byte) (string, error) {
		if len(sealed) == 0 || keys == nil {
			return "", nil
		}
		key, err := keys.Open(sealed)
		if err != nil {
			return "", fmt.Errorf("open the key of a row of workspace %s: %w", workspace, err)
		}
		if plain {
			return string(key), nil
		}
		return masked(string(key)), nil
	}, nil
}

// masked leaves so much of a key that somebody who knows it can find it, and nobody else can read it.
func masked(key string) string {
	const veil, shown = "•••", 5
	first, size := utf8.DecodeRuneInString(key)
	if utf8.RuneCountInString(key) < shown || first == utf8.RuneError {
		return veil
	}
	return key[:size] + veil
}

func pageSize(asked int32) int {
	if asked == 0 {
		return defaultPageSize
	}
	return int(asked)
}

func pageViolation(err error) error {
	var v violations
	v.add("page_token", "%s", err)
	return v.err()
}

// runFilters recognises the question that a page token was made for.
func runFilters(workspace, what string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(workspace + "\x00" + what))
	return h.Sum64()
}

func encodeRow(filters uint64, row store.RunRow) string {
	b := binary.BigEndian.AppendUint64(nil, filters)
	b = binary.AppendVarint(b, row.Number)
	return base64.RawURLEncoding.EncodeToString(append(b, row.Outcome...))
}

func decodeRow(filters uint64, token string) (store.RunRow, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 8 {
		return store.RunRow{}, errPageToken
	}
	if binary.BigEndian.Uint64(b) != filters {
		return store.RunRow{}, errOtherQuery
	}
	number, n := binary.Varint(b[8:])
	if n <= 0 {
		return store.RunRow{}, errPageToken
	}
	outcome := string(b[8+n:])
	if !utf8.ValidString(outcome) || strings.ContainsRune(outcome, 0) {
		return store.RunRow{}, errPageToken
	}
	return store.RunRow{Number: number, Outcome: outcome}, nil
}
