package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
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

// ListIntegrationDays implements configv1.RunLogServiceServer.
func (s *Server) ListIntegrationDays(ctx context.Context, req *configv1.ListIntegrationDaysRequest) (*configv1.ListIntegrationDaysResponse, error) {
	q, err := dayQuery(req)
	if err != nil {
		return nil, err
	}
	size := q.Limit
	q.Limit++ // one more tells whether there is another page
	days, err := s.deps.RunLog.IntegrationDays(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListIntegrationDaysResponse{}
	if len(days) > size {
		days = days[:size]
		resp.NextPageToken = encodeDay(daysHash(req), days[size-1])
	}
	for i := range days {
		day, err := integrationDay(&days[i])
		if err != nil {
			return nil, err
		}
		resp.Days = append(resp.Days, day)
	}
	return resp, nil
}

func integrationDay(d *store.IntegrationDay) (*configv1.IntegrationDay, error) {
	out := &configv1.IntegrationDay{
		Integration: d.Integration, Day: timestamppb.New(d.Day), First: timestamppb.New(d.First), Last: timestamppb.New(d.Last),
		Read: d.Read, Written: d.Written, Skipped: d.Skipped, Parked: d.Parked, Failed: d.Failed, Retrying: d.Retrying,
	}
	if d.FirstError != nil {
		out.FirstError = &streamv1.Outcome{}
		if err := proto.Unmarshal(d.FirstError.Body, out.FirstError); err != nil {
			return nil, fmt.Errorf("decode outcome %s of workspace %s: %w", d.FirstError.ID, d.FirstError.Workspace, err)
		}
	}
	return out, nil
}

func dayQuery(req *configv1.ListIntegrationDaysRequest) (store.DayQuery, error) {
	var v violations
	q := store.DayQuery{
		Workspace: req.GetWorkspace(), Integration: req.GetIntegration(),
		From: timeOf(&v, "from", req.GetFrom()), To: timeOf(&v, "to", req.GetTo()), Limit: int(req.GetPageSize()),
	}
	if q.Limit == 0 {
		q.Limit = defaultPageSize
	}
	if req.GetPageToken() != "" {
		var err error
		if q.AfterDay, q.AfterIntegration, err = decodeDay(daysHash(req), req.GetPageToken()); err != nil {
			v.add("page_token", "%s", err)
		}
	}
	return q, v.err()
}

// daysHash recognises the filters a page token was made for.
func daysHash(req *configv1.ListIntegrationDaysRequest) uint64 {
	filters := proto.CloneOf(req)
	filters.PageSize, filters.PageToken = 0, ""
	encoded, _ := encoding.Marshal(filters)
	h := fnv.New64a()
	_, _ = h.Write(encoded)
	return h.Sum64()
}

func encodeDay(filters uint64, d store.IntegrationDay) string {
	b := binary.BigEndian.AppendUint64(nil, filters)
	b = binary.AppendVarint(b, d.Day.Unix())
	return base64.RawURLEncoding.EncodeToString(append(b, d.Integration...))
}

func decodeDay(filters uint64, token string) (day time.Time, integration string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 8 {
		return day, "", errPageToken
	}
	if binary.BigEndian.Uint64(b) != filters {
		return day, "", errOtherQuery
	}
	at, n := binary.Varint(b[8:])
	if n <= 0 || len(b) == 8+n {
		return day, "", errPageToken
	}
	integration = string(b[8+n:])
	if !utf8.ValidString(integration) || strings.ContainsRune(integration, 0) {
		return day, "", errPageToken
	}
	return time.Unix(at, 0).UTC(), integration, nil
}
