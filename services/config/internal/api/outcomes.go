package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

const defaultPageSize = 100

// ListOutcomes implements configv1.ConfigServiceServer.
func (s *Server) ListOutcomes(ctx context.Context, req *configv1.ListOutcomesRequest) (*configv1.ListOutcomesResponse, error) {
	q, err := outcomeQuery(req)
	if err != nil {
		return nil, err
	}
	size := q.Limit
	q.Limit++ // one more tells whether there is another page
	rows, err := s.deps.RunLog.Outcomes(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListOutcomesResponse{}
	if len(rows) > size {
		rows = rows[:size]
		last := rows[size-1]
		resp.NextPageToken = encodePage(filterHash(req), store.OutcomePosition{DecidedAt: last.DecidedAt, ID: last.ID})
	}
	for _, row := range rows {
		o := &streamv1.Outcome{}
		if err := proto.Unmarshal(row.Body, o); err != nil {
			return nil, fmt.Errorf("decode outcome %s of workspace %s: %w", row.ID, row.Workspace, err)
		}
		resp.Outcomes = append(resp.Outcomes, o)
	}
	return resp, nil
}

func outcomeQuery(req *configv1.ListOutcomesRequest) (store.OutcomeQuery, error) {
	var v violations
	q := store.OutcomeQuery{
		Workspace: req.GetWorkspace(), EventID: req.GetEventId(), VisitID: req.GetVisitId(),
		EngagementID: req.GetEngagementId(), WriteKey: req.GetWriteKey(), RecordID: req.GetRecordId(),
		Status: int32(req.GetStatus()), Reason: int32(req.GetReason()),
		From: timeOf(&v, "from", req.GetFrom()), To: timeOf(&v, "to", req.GetTo()), Limit: int(req.GetPageSize()),
	}
	if q.Limit == 0 {
		q.Limit = defaultPageSize
	}
	unfiltered := store.OutcomeQuery{Workspace: q.Workspace, Limit: q.Limit}
	if q == unfiltered {
		v.add("event_id", "give at least one filter, or a time range")
	}
	if req.GetPageToken() != "" {
		var err error
		if q.After, err = decodePage(filterHash(req), req.GetPageToken()); err != nil {
			v.add("page_token", "%s", err)
		}
	}
	return q, v.err()
}

func timeOf(v *violations, field string, t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	if !t.IsValid() {
		v.add(field, "not a valid time")
	}
	return t.AsTime()
}

// filterHash recognises the filters a page token was made for.
func filterHash(req *configv1.ListOutcomesRequest) uint64 {
	filters := proto.CloneOf(req)
	filters.PageSize, filters.PageToken = 0, ""
	encoded, _ := encoding.Marshal(filters)
	h := fnv.New64a()
	_, _ = h.Write(encoded)
	return h.Sum64()
}

func encodePage(filters uint64, at store.OutcomePosition) string {
	b := binary.BigEndian.AppendUint64(nil, filters)
	b = binary.AppendVarint(b, at.DecidedAt.UnixMicro())
	return base64.RawURLEncoding.EncodeToString(append(b, at.ID...))
}

var (
	errPageToken  = errors.New("not a token of an earlier answer")
	errOtherQuery = errors.New("the token belongs to other filters: start again without it")
)

func decodePage(filters uint64, token string) (store.OutcomePosition, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 8 {
		return store.OutcomePosition{}, errPageToken
	}
	if binary.BigEndian.Uint64(b) != filters {
		return store.OutcomePosition{}, errOtherQuery
	}
	at, n := binary.Varint(b[8:])
	if n <= 0 || len(b) == 8+n {
		return store.OutcomePosition{}, errPageToken
	}
	id := string(b[8+n:])
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return store.OutcomePosition{}, errPageToken
	}
	return store.OutcomePosition{DecidedAt: time.UnixMicro(at).UTC(), ID: id}, nil
}

// CountOutcomes implements configv1.ConfigServiceServer.
func (s *Server) CountOutcomes(ctx context.Context, req *configv1.CountOutcomesRequest) (*configv1.CountOutcomesResponse, error) {
	var v violations
	from, to := timeOf(&v, "from", req.GetFrom()), timeOf(&v, "to", req.GetTo())
	if err := v.err(); err != nil {
		return nil, err
	}
	counts, err := s.deps.RunLog.CountOutcomes(ctx, req.GetWorkspace(), from, to)
	if err != nil {
		return nil, err
	}
	resp := &configv1.CountOutcomesResponse{}
	for _, c := range counts {
		resp.Counts = append(resp.Counts, &configv1.OutcomeCount{
			Stage: c.Stage, Status: streamv1.Status(c.Status), Reason: streamv1.Reason(c.Reason), Count: c.N,
		})
	}
	return resp, nil
}
