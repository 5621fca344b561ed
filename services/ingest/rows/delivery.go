package rows

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// delivery brings the pieces of one delivery into Kafka.
type delivery struct {
	cfg       *Config
	publisher Publisher
	clock     stage.Clock
	workspace *settings.Workspace
	// Names of the delivery.
	report, id, attempt string

	batch *streamv1.Rows
	size  int
	first int64
	count int64
	tally map[string]int64
}

// Summary is the body of the answer to a delivery that was taken.
type Summary struct {
	// Delivery is its id.
	Delivery string `json:"delivery"`
	// Rows came, and were as many as announced.
	Rows int64 `json:"rows"`
	// Refused of them have no cells, by reason.
	Refused map[string]int64 `json:"refused,omitempty"`
}

// take carries a source to its end. The error of a body that is no delivery is a *badDelivery, and its end marker was not sent.
func (d *delivery) take(ctx context.Context, src source) (Summary, error) {
	columns, err := src.begin()
	if err == nil {
		err = checkColumns(columns, d.cfg.Columns)
	}
	if err != nil {
		return Summary{}, err
	}
	d.attempt, d.batch, d.first, d.tally = rand.Text(), &streamv1.Rows{}, 1, map[string]int64{}
	begin := &streamv1.ReportRecord{Piece: &streamv1.ReportRecord_Begin{Begin: &streamv1.RowsBegin{Columns: columns}}}
	if err := d.publish(ctx, begin, "begin"); err != nil {
		return Summary{}, err
	}
	for {
		row, more, err := src.next()
		if err != nil {
			return Summary{}, err
		}
		if !more {
			break
		}
		if err := d.add(ctx, row); err != nil {
			return Summary{}, err
		}
	}
	if err := d.flush(ctx); err != nil {
		return Summary{}, err
	}
	return d.end(ctx, src.declared())
}

func (d *delivery) add(ctx context.Context, row *streamv1.Row) error {
	if d.count++; d.count > int64(d.cfg.Rows) {
		return bad("the delivery has more than " + strconv.Itoa(d.cfg.Rows) + " rows; deliver it as several reports")
	}
	size := proto.Size(row)
	if row.GetRefused() == "" && size > 2*d.cfg.RowBytes {
		row = refusedRow(refusedTooLarge) // empty cells of many columns
	}
	if row.GetRefused() != "" {
		d.tally[row.GetRefused()]++
		size = proto.Size(row)
	}
	if len(d.batch.Rows) > 0 && (len(d.batch.Rows) >= d.cfg.BatchRows || d.size+size > d.cfg.BatchBytes) {
		if err := d.flush(ctx); err != nil {
			return err
		}
	}
	d.batch.Rows, d.size = append(d.batch.Rows, row), d.size+size
	return nil
}

// flush seals the batch (promise 8) and sends it.
func (d *delivery) flush(ctx context.Context) error {
	n := len(d.batch.Rows)
	if n == 0 {
		return nil
	}
	plain, err := proto.Marshal(d.batch)
	if err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	sealed, err := d.workspace.Keys().Seal(plain)
	if err != nil {
		return fmt.Errorf("seal rows: %w", err)
	}
	piece := &streamv1.ReportRecord{Piece: &streamv1.ReportRecord_Rows{Rows: &streamv1.RowBatch{
		First: d.first, Count: int32(n), SealedRows: sealed, //nolint:gosec // bounded by BatchRows
	}}}
	if err := d.publish(ctx, piece, strconv.FormatInt(d.first, 10)); err != nil {
		return err
	}
	d.first += int64(n)
	d.batch.Rows, d.size = d.batch.Rows[:0], 0
	return nil
}

// end sends the end marker, also when the number is wrong: the run log tells of it then, and the delivery is never pushed (WALK-9).
func (d *delivery) end(ctx context.Context, declared int64) (Summary, error) {
	marker := &streamv1.ReportRecord{Piece: &streamv1.ReportRecord_End{End: &streamv1.RowsEnd{Rows: declared}}}
	if err := d.publish(ctx, marker, "end"); err != nil {
		return Summary{}, err
	}
	if declared != d.count {
		return Summary{}, bad(fmt.Sprintf("%d rows came, and %d were announced; nothing of the delivery is pushed; send it again, whole",
			d.count, declared))
	}
	return Summary{Delivery: d.id, Rows: d.count, Refused: d.tally}, nil
}

// publish sends one piece and waits for Kafka's acknowledgement. Promise 2.
func (d *delivery) publish(ctx context.Context, piece *streamv1.ReportRecord, part string) error {
	now := d.clock.Now()
	piece.Workspace, piece.Report, piece.Delivery, piece.Attempt = d.workspace.ID(), d.report, d.id, d.attempt
	piece.ReceivedAt = timestamppb.New(now)
	value, err := proto.Marshal(piece)
	if err != nil {
		return fmt.Errorf("encode a piece of a delivery: %w", err)
	}
	return d.publisher.Publish(ctx, message(piece, value, part, now))
}

func message(piece *streamv1.ReportRecord, value []byte, part string, now time.Time) stage.Message {
	return stage.Message{
		Topic: topic.Rows, Key: topic.DeliveryKey(piece.GetWorkspace(), piece.GetReport(), piece.GetDelivery()), Value: value,
		ID: piece.GetAttempt() + "/" + part, Type: topic.TypeRows, Time: now,
	}
}
