package deliveries

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Fetcher reads a topic; kafka.Client is one.
type Fetcher interface {
	Fetch(ctx context.Context, req stage.FetchRequest) (stage.Fetched, error)
}

// Opener opens sealed rows; *seal.Keys is one.
type Opener interface {
	Open(sealed []byte) ([]byte, error)
}

// ErrGone means that a delivery cannot be read any more, whatever one does: it is too old, or the keys it was sealed with are gone.
var ErrGone = errors.New("the rows of the delivery are not there any more; deliver the report again")

// fetchBytes is how much of the topic is in memory at a time; a batch of rows that is larger comes whole.
const fetchBytes = 1 << 20

// Visitor sees a delivery. The rows are its to keep. An error ends the reading and is returned.
type Visitor struct {
	// Columns is called once, before the rows. Optional.
	Columns func(names []string) error
	// Row is called for each row, numbered from 1.
	Row func(number int64, row *streamv1.Row) error
}

// Read reads a complete delivery from its begin marker to its end marker. Pieces of others that lie between are passed over, and so
// are repeated ones and those of earlier attempts.
func Read(ctx context.Context, from Fetcher, keys Opener, d *configv1.ReportDelivery, v Visitor) error {
	r := reader{keys: keys, visit: v, next: 1, key: topic.DeliveryKey(d.GetWorkspace(), d.GetReport(), d.GetId())}
	for offset := d.GetFirstOffset(); offset <= d.GetLastOffset(); {
		f, err := from.Fetch(ctx, stage.FetchRequest{
			Topic: topic.Rows, Partition: int(d.GetPartition()), Offset: offset,
			MinBytes: 1, MaxBytes: fetchBytes, MaxWait: 500 * time.Millisecond,
		})
		if errors.Is(err, stage.ErrOffsetOutOfRange) && offset < f.Start { // else the broker has it, and denies it for a moment
			return ErrGone
		}
		if err != nil {
			return fmt.Errorf("read delivery %s of report %s: %w", d.GetId(), d.GetReport(), err)
		}
		for i := range f.Records {
			if f.Records[i].Offset > d.GetLastOffset() {
				break
			}
			if err := r.record(&f.Records[i]); err != nil {
				return err
			}
		}
		offset = f.Next
	}
	if r.next-1 != d.GetRows() {
		return ErrGone
	}
	return nil
}

type reader struct {
	keys    Opener
	visit   Visitor
	key     []byte
	attempt string
	next    int64
}

func (r *reader) record(rec *stage.Record) error {
	if !bytes.Equal(rec.Key, r.key) {
		return nil // promise 9: only this workspace's delivery
	}
	piece := new(streamv1.ReportRecord)
	if err := proto.Unmarshal(rec.Value, piece); err != nil {
		return nil //nolint:nilerr // it was dead-lettered when it came; the count tells whether a row is missing
	}
	if begun := piece.GetBegin(); begun != nil {
		if r.attempt != "" && r.attempt == piece.GetAttempt() {
			return nil
		}
		if r.attempt != "" {
			return ErrGone // begun anew within: the complete delivery begins later
		}
		r.attempt = piece.GetAttempt()
		if r.visit.Columns != nil {
			return r.visit.Columns(begun.GetColumns())
		}
		return nil
	}
	batch := piece.GetRows()
	if batch == nil || piece.GetAttempt() != r.attempt || batch.GetFirst() != r.next {
		return nil
	}
	plain, err := r.keys.Open(batch.GetSealedRows())
	if err != nil {
		return ErrGone
	}
	rows := new(streamv1.Rows)
	if err := proto.Unmarshal(plain, rows); err != nil {
		return ErrGone
	}
	for _, row := range rows.GetRows() {
		if err := r.visit.Row(r.next, row); err != nil {
			return err
		}
		r.next++
	}
	return nil
}
