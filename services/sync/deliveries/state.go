package deliveries

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// version is the format of the entries this program writes. It reads any up to it.
const version = 1

var errNewerFormat = errors.New("the state of a delivery has a newer format; run a program at least as new as the one that wrote it")

func decode(value []byte) (*statev1.OpenDelivery, error) {
	d := new(statev1.OpenDelivery)
	if err := proto.Unmarshal(value, d); err != nil {
		return nil, fmt.Errorf("decode the state of a delivery: %w", err)
	}
	if d.GetVersion() > version {
		return nil, errNewerFormat
	}
	return d, nil
}

// begin is the state of a delivery whose begin marker lies at offset.
func begin(rec *streamv1.ReportRecord, offset int64) *statev1.OpenDelivery {
	return &statev1.OpenDelivery{Version: version, Attempt: rec.GetAttempt(), FirstOffset: offset, NextRow: 1}
}

// take applies a batch of rows. A batch that came before, because it was sent or read twice, changes nothing (promise 5).
func take(d *statev1.OpenDelivery, batch *streamv1.RowBatch) {
	first, count := batch.GetFirst(), int64(batch.GetCount())
	switch {
	case first+count <= d.GetNextRow():
	case first == d.GetNextRow():
		d.NextRow += count
	default:
		d.Broken = fmt.Sprintf("rows are missing: row %d was to come, and row %d came", d.GetNextRow(), first)
	}
}

// end tells why a delivery whose end marker has come must not be pushed; "" when it is whole.
func end(d *statev1.OpenDelivery, marker *streamv1.RowsEnd) string {
	if d.GetBroken() != "" {
		return d.GetBroken() + "; deliver the report again, whole"
	}
	if came := d.GetNextRow() - 1; came != marker.GetRows() {
		return fmt.Sprintf("%d rows came, and the end marker says %d; deliver the report again, whole", came, marker.GetRows())
	}
	return ""
}
