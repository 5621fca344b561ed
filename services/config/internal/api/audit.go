package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// ListAuditEntries implements configv1.AccessServiceServer.
func (a *Access) ListAuditEntries(ctx context.Context, req *configv1.ListAuditEntriesRequest) (*configv1.ListAuditEntriesResponse, error) {
	q, err := auditQuery(req)
	if err != nil {
		return nil, err
	}
	size := q.Limit
	q.Limit++ // one more tells whether there is another page
	rows, err := a.deps.Audit.AuditEntries(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListAuditEntriesResponse{}
	if len(rows) > size {
		rows = rows[:size]
		resp.NextPageToken = encodeAuditPage(auditHash(req), rows[size-1].Seq)
	}
	for _, row := range rows {
		entry, err := entryOf(row)
		if err != nil {
			return nil, err
		}
		resp.Entries = append(resp.Entries, entry)
	}
	return resp, nil
}

func entryOf(row store.AuditEntry) (*configv1.AuditEntry, error) {
	out := &configv1.AuditEntry{}
	if err := proto.Unmarshal(row.Changes, out); err != nil {
		return nil, fmt.Errorf("decode audit entry %d: %w", row.Seq, err)
	}
	out.Sequence, out.Workspace, out.At = row.Seq, row.Workspace, timestamppb.New(row.At)
	out.Actor, out.Role, out.Action, out.Reason = row.Actor, row.Role, row.Action, row.Reason
	out.Kind, out.Target, out.Version = row.Kind, row.Target, row.Version
	return out, nil
}

func auditQuery(req *configv1.ListAuditEntriesRequest) (store.AuditQuery, error) {
	var v violations
	q := store.AuditQuery{
		Workspace: req.GetWorkspace(), Actor: req.GetActor(), Action: req.GetAction(), Kind: req.GetKind(), Target: req.GetTarget(),
		From: timeOf(&v, "from", req.GetFrom()), To: timeOf(&v, "to", req.GetTo()), Limit: int(req.GetPageSize()),
	}
	if q.Limit == 0 {
		q.Limit = defaultPageSize
	}
	if req.GetPageToken() != "" {
		var err error
		if q.Before, err = decodeAuditPage(auditHash(req), req.GetPageToken()); err != nil {
			v.add("page_token", "%s", err)
		}
	}
	return q, v.err()
}

// auditHash recognises the filters a page token was made for.
func auditHash(req *configv1.ListAuditEntriesRequest) uint64 {
	filters := proto.CloneOf(req)
	filters.PageSize, filters.PageToken = 0, ""
	encoded, _ := encoding.Marshal(filters)
	h := fnv.New64a()
	_, _ = h.Write(encoded)
	return h.Sum64()
}

func encodeAuditPage(filters uint64, before int64) string {
	b := binary.BigEndian.AppendUint64(nil, filters)
	return base64.RawURLEncoding.EncodeToString(binary.AppendVarint(b, before))
}

func decodeAuditPage(filters uint64, token string) (int64, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 8 {
		return 0, errPageToken
	}
	if binary.BigEndian.Uint64(b) != filters {
		return 0, errOtherQuery
	}
	before, n := binary.Varint(b[8:])
	if n <= 0 || len(b) != 8+n || before < 1 {
		return 0, errPageToken
	}
	return before, nil
}
