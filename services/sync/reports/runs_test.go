package reports_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// runs plays the config service: it takes deliveries and hands out one run of the newest, again when the claim is let go.
type runs struct {
	configv1.ReportRunServiceClient
	b    *testBundle
	push *configv1.ReportPush

	mu         sync.Mutex
	deliveries []*configv1.ReportDelivery
	number     int64
	handedOut  bool
	claimed    string
	chunks     []*configv1.ReportRunChunk
	rows       map[int64]*configv1.ReportRunRow
	notes      []string
	ended      bool
	stop       bool
	failure    *configv1.RecordReportRunRequest
	// hook, if set, decides about a call before it takes effect; then after it.
	hook, then func(req *configv1.RecordReportRunRequest) error
	fields     []*configv1.DescribedField
}

func newRuns(b *testBundle) *runs {
	r := &runs{b: b, number: 1, rows: map[int64]*configv1.ReportRunRow{}}
	r.push = &configv1.ReportPush{
		Workspace: "acme", Id: "usage-to-contacts", Report: "usage", Connection: "main", Object: "Contact",
		KeyColumn: "key", KeyField: "Guid__c", Version: 3,
		Columns: []*configv1.ColumnMapping{{Column: "score", Field: "Score__c"}, {Column: "active", Field: "Active__c"}},
	}
	d, err := b.org.Describe(b.t.Context(), "Contact")
	require.NoError(b.t, err)
	for _, f := range d.Fields {
		described := &configv1.DescribedField{
			Name: f.Name, Type: f.Type, Length: int32(f.Length), Precision: int32(f.Precision), Scale: int32(f.Scale),
			Updateable: f.Updateable, Nillable: f.Nillable, Filterable: f.Filterable, Encrypted: f.Encrypted,
			RestrictedPicklist: f.RestrictedPicklist,
		}
		for _, p := range f.PicklistValues {
			described.Picklist = append(described.Picklist, &configv1.PicklistChoice{Value: p.Value})
		}
		r.fields = append(r.fields, described)
	}
	return r
}

func (r *runs) NoteReportDelivery(_ context.Context, req *configv1.NoteReportDeliveryRequest, _ ...grpc.CallOption) (*configv1.NoteReportDeliveryResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deliveries = append(r.deliveries, proto.CloneOf(req.GetDelivery()))
	return &configv1.NoteReportDeliveryResponse{}, nil
}

func (r *runs) ClaimReportRun(_ context.Context, req *configv1.ClaimReportRunRequest, _ ...grpc.CallOption) (*configv1.ClaimReportRunResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.deliveries) == 0 || r.ended || r.claimed != "" || r.deliveries[len(r.deliveries)-1].GetReason() != 0 {
		return &configv1.ClaimReportRunResponse{}, nil
	}
	next := int64(1)
	for _, c := range r.chunks {
		next += c.GetRows()
	}
	answer := &configv1.ClaimReportRunResponse{
		Run: &configv1.ReportRun{
			Workspace: "acme", Id: fmt.Sprintf("run-%d", r.number), Push: r.push.GetId(), PushVersion: r.push.GetVersion(), Number: r.number,
			Object: r.push.GetObject(), Connection: "main", StartedAt: timestamppb.Now(),
		},
		Push: proto.CloneOf(r.push), Delivery: proto.CloneOf(r.deliveries[len(r.deliveries)-1]), Fields: r.fields,
		NextChunk: int64(len(r.chunks)), NextRow: next, ClaimedUntil: timestamppb.New(time.Now().Add(time.Minute)), Resumed: r.handedOut,
	}
	r.handedOut, r.claimed = true, req.GetWorker()
	return answer, nil
}

func (r *runs) RecordReportRun(_ context.Context, req *configv1.RecordReportRunRequest, _ ...grpc.CallOption) (*configv1.RecordReportRunResponse, error) {
	r.mu.Lock()
	hook, then := r.hook, r.then
	r.mu.Unlock()
	if hook != nil {
		if err := hook(req); err != nil {
			return nil, err
		}
	}
	answer, err := r.record(req)
	if err == nil && then != nil {
		err = then(req)
	}
	return answer, err
}

func (r *runs) record(req *configv1.RecordReportRunRequest) (*configv1.RecordReportRunResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claimed != req.GetWorker() {
		return nil, status.Error(codes.Aborted, "the claim went to another worker")
	}
	if req.GetReason() != 0 {
		r.ended, r.failure = true, proto.CloneOf(req)
	} else if req.GetDetail() != "" {
		r.notes = append(r.notes, req.GetDetail())
	}
	if c := req.GetChunk(); c != nil && c.GetNumber() == int64(len(r.chunks)) {
		r.chunks = append(r.chunks, proto.CloneOf(c))
		for _, row := range req.GetRows() {
			r.rows[row.GetNumber()] = proto.CloneOf(row)
		}
		r.ended = req.GetLast()
	}
	return &configv1.RecordReportRunResponse{Stop: r.stop || r.ended, ClaimedUntil: timestamppb.New(time.Now().Add(time.Minute))}, nil
}

// release lets the claim go, as if its worker had died.
func (r *runs) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claimed = ""
}

// again begins the next run of the push, with the newest delivery.
func (r *runs) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	r.handedOut, r.ended, r.claimed, r.chunks, r.rows, r.failure = false, false, "", nil, map[int64]*configv1.ReportRunRow{}, nil
}

// noted is why the run said that it waited.
func (r *runs) noted() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.notes)
}

func (r *runs) done() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// counts adds up the chunks.
func (r *runs) counts() *configv1.ReportRunCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := new(configv1.ReportRunCounts)
	for _, c := range r.chunks {
		n := c.GetCounts()
		sum.Rows += n.GetRows()
		sum.Unchanged += n.GetUnchanged()
		sum.Unmatched += n.GetUnmatched()
		sum.Ambiguous += n.GetAmbiguous()
		sum.BlankKeys += n.GetBlankKeys()
		sum.RepeatedKeys += n.GetRepeatedKeys()
		sum.EqualRows += n.GetEqualRows()
		sum.Failed += n.GetFailed()
		sum.Pending += n.GetPending()
	}
	return sum
}

// listed is the reason of every listed row, by number.
func (r *runs) listed() map[int64]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[int64]string{}
	for n, row := range r.rows {
		out[n] = strings.TrimPrefix(row.GetReason().String(), "REASON_")
	}
	return out
}
