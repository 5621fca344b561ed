package reportbench

import (
	"context"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// runs hands out one run for every delivery and counts what becomes of its rows, in the place of the config service, which is measured
// elsewhere. Safe for concurrent use.
type runs struct {
	configv1.ReportRunServiceClient

	mu       sync.Mutex
	delivery *configv1.ReportDelivery
	number   int64
	claimed  bool
	last     bool
	counts   configv1.ReportRunCounts
	written  int64
	wrong    string
	failure  string
}

const lease = time.Hour

// begin forgets the run before.
func (r *runs) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delivery, r.last, r.written, r.wrong, r.failure = nil, false, 0, "", ""
	r.counts.Reset()
}

// NoteReportDelivery begins a run.
func (r *runs) NoteReportDelivery(_ context.Context, req *configv1.NoteReportDeliveryRequest, _ ...grpc.CallOption) (*configv1.NoteReportDeliveryResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delivery = proto.CloneOf(req.GetDelivery())
	r.number++
	r.claimed, r.failure = false, req.GetDelivery().GetDetail()
	return &configv1.NoteReportDeliveryResponse{}, nil
}

// ClaimReportRun hands it out.
func (r *runs) ClaimReportRun(context.Context, *configv1.ClaimReportRunRequest, ...grpc.CallOption) (*configv1.ClaimReportRunResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.delivery == nil || r.claimed {
		return &configv1.ClaimReportRunResponse{}, nil
	}
	r.claimed = true
	return &configv1.ClaimReportRunResponse{
		Run: &configv1.ReportRun{
			Workspace: workspace, Id: strconv.FormatInt(r.number, 10), Push: "push", PushVersion: 1, Number: r.number, Object: "Contact", Connection: "main",
		},
		Push: &configv1.ReportPush{
			Workspace: workspace, Id: "push", Report: "usage", Connection: "main", Object: "Contact", KeyColumn: "guid", KeyField: keyField,
			Columns: []*configv1.ColumnMapping{{Column: "score", Field: "Score__c"}, {Column: "level", Field: "Level__c"}},
		},
		Delivery: r.delivery, NextRow: 1, ClaimedUntil: timestamppb.New(time.Now().Add(lease)),
		Fields: []*configv1.DescribedField{
			{Name: keyField, Type: "string", Length: 36, Filterable: true},
			{Name: "Score__c", Type: "double", Precision: 10, Scale: 2},
			{Name: "Level__c", Type: "string", Length: 20},
		},
	}, nil
}

// RecordReportRun counts.
func (r *runs) RecordReportRun(_ context.Context, req *configv1.RecordReportRunRequest, _ ...grpc.CallOption) (*configv1.RecordReportRunResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := req.GetChunk().GetCounts(); n != nil {
		r.counts.Rows += n.GetRows()
		r.counts.Pending += n.GetPending()
		r.counts.Unchanged += n.GetUnchanged()
	}
	if req.GetReason() != 0 {
		r.failure = req.GetDetail()
	}
	r.last = r.last || req.GetLast()
	return &configv1.RecordReportRunResponse{ClaimedUntil: timestamppb.New(time.Now().Add(lease))}, nil
}

// Process implements stage.Processor: it follows the outcomes.
func (r *runs) Process(_ context.Context, batch []stage.Record, _ *stage.Outbox) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range batch {
		o := new(streamv1.Outcome)
		if err := proto.Unmarshal(batch[i].Value, o); err != nil {
			return stage.Permanent("BAD_SCHEMA", err)
		}
		switch o.GetStatus() {
		case streamv1.Status_STATUS_WRITTEN:
			r.written++
		case streamv1.Status_STATUS_FAILED, streamv1.Status_STATUS_SKIPPED:
			r.wrong = "row " + strconv.FormatInt(o.GetRunRow().GetNumber(), 10) + " ended as " + o.GetStatus().String() + ": " + o.GetDetail()
		}
	}
	return nil
}

// state says whether the run is over, and what went wrong.
func (r *runs) state() (over bool, unchanged int64, wrong string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != "" {
		return true, 0, r.failure
	}
	return r.last && r.written >= r.counts.GetPending(), r.counts.GetUnchanged(), r.wrong
}
