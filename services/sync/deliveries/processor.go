package deliveries

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Notes is the part of the config service that is told of deliveries; configv1.ReportRunServiceClient is one.
type Notes interface {
	NoteReportDelivery(
		context.Context, *configv1.NoteReportDeliveryRequest, ...grpc.CallOption,
	) (*configv1.NoteReportDeliveryResponse, error)
}

// Deps is what code passes in. All of it is required.
type Deps struct {
	Notes  Notes
	Logger *slog.Logger
	// NoteTimeout bounds one call, Forget is how long after its last piece a delivery without an end is remembered: as long as its
	// rows are kept.
	NoteTimeout, Forget time.Duration
}

// Processor follows one partition of tl.rows.v1.
type Processor struct {
	deps  Deps
	table *stage.Table
	swept time.Time
}

// NewProcessor returns the processor of a partition whose state is table.
func NewProcessor(deps Deps, table *stage.Table) *Processor {
	return &Processor{deps: deps, table: table}
}

// Process implements stage.Processor. A call that config does not take is repeated with the batch: noting a delivery twice changes
// nothing.
func (p *Processor) Process(ctx context.Context, batch []stage.Record, _ *stage.Outbox) error {
	open := map[string]*statev1.OpenDelivery{}
	for i := range batch {
		if err := p.one(ctx, &batch[i], open); err != nil {
			return err
		}
	}
	for key, d := range open {
		if d == nil {
			p.table.Delete(key)
			continue
		}
		value, err := proto.Marshal(d)
		if err != nil {
			return fmt.Errorf("encode the state of delivery %s: %w", key, err)
		}
		p.table.Put(key, value)
	}
	return nil
}

func (p *Processor) one(ctx context.Context, rec *stage.Record, open map[string]*statev1.OpenDelivery) error {
	piece := new(streamv1.ReportRecord)
	if err := proto.Unmarshal(rec.Value, piece); err != nil {
		return stage.Permanent("BAD_SCHEMA", fmt.Errorf("a record of %s is no piece of a delivery", topic.Rows))
	}
	key := string(topic.DeliveryKey(piece.GetWorkspace(), piece.GetReport(), piece.GetDelivery()))
	d, err := p.state(key, open)
	if piece.GetBegin() != nil {
		if err == nil && d != nil && d.GetAttempt() == piece.GetAttempt() {
			return nil // a repetition, which a broker may bring when rows have come already, begins nothing anew (promise 5)
		}
		open[key] = begin(piece, rec.Offset)
		open[key].LastPieceAt = timestamppb.New(rec.Time)
		return nil
	}
	if err != nil || d == nil || d.GetAttempt() != piece.GetAttempt() {
		return err // of a delivery that was begun anew meanwhile, or has ended
	}
	open[key] = d
	d.LastPieceAt = timestamppb.New(rec.Time)
	if rows := piece.GetRows(); rows != nil {
		take(d, rows)
		return nil
	}
	marker := piece.GetEnd()
	if marker == nil {
		return nil // a kind of piece that a newer program sends
	}
	open[key] = nil
	return p.note(ctx, &configv1.ReportDelivery{
		Workspace: piece.GetWorkspace(), Report: piece.GetReport(), Id: piece.GetDelivery(),
		Partition: int32(rec.Partition), FirstOffset: d.GetFirstOffset(), LastOffset: rec.Offset, //nolint:gosec // Kafka's partitions are int32
		Rows: d.GetNextRow() - 1, CompletedAt: timestamppb.New(rec.Time), Detail: end(d, marker),
	})
}

// state finds what is known about a delivery; nil for nothing.
func (p *Processor) state(key string, open map[string]*statev1.OpenDelivery) (*statev1.OpenDelivery, error) {
	if d, ok := open[key]; ok {
		return d, nil
	}
	value, ok := p.table.Get(key)
	if !ok {
		return nil, nil
	}
	return decode(value)
}

// note tells config. Promise 2: the end marker is settled after config has it.
func (p *Processor) note(ctx context.Context, d *configv1.ReportDelivery) error {
	if d.GetDetail() != "" {
		d.Reason = streamv1.Reason_REASON_BAD_SCHEMA
	}
	ctx, cancel := context.WithTimeout(ctx, p.deps.NoteTimeout)
	defer cancel()
	_, err := p.deps.Notes.NoteReportDelivery(ctx, &configv1.NoteReportDeliveryRequest{Delivery: d})
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.NotFound, codes.InvalidArgument, codes.FailedPrecondition:
		// Nobody wants it: no such report, say. Its sender was answered for the rows; the report's absence is seen where it is set up.
		p.deps.Logger.WarnContext(ctx, "a delivery of a report is not taken; register the report and deliver it again",
			"workspace", d.GetWorkspace(), "report", d.GetReport(), "delivery", d.GetId(), "error", err)
		return nil
	default:
		return fmt.Errorf("tell config of delivery %s of report %s of workspace %s: %w", d.GetId(), d.GetReport(), d.GetWorkspace(), err)
	}
}

// sweepEvery is how often deliveries without an end are looked for.
const sweepEvery = time.Hour

// Tick implements stage.Ticker: it forgets deliveries whose rows the topic does not keep any longer. Promise 7.
func (p *Processor) Tick(_ context.Context, now time.Time, _ *stage.Outbox) error {
	if now.Sub(p.swept) < sweepEvery {
		return nil
	}
	p.swept = now
	var gone []string
	p.table.Range(func(key string, value []byte) bool {
		d, err := decode(value)
		if err == nil && now.Sub(d.GetLastPieceAt().AsTime()) > p.deps.Forget {
			gone = append(gone, key)
		}
		return true
	})
	for _, key := range gone {
		p.table.Delete(key)
	}
	return nil
}
