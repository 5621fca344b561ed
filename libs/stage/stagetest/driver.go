package stagetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
)

// Driver feeds one partition's Processor the way the runtime does: batches with ascending offsets, staged state committed
// after success and rolled back after an error.
type Driver struct {
	t            testing.TB
	partition    stage.Partition
	newProcessor stage.NewProcessor
	processor    stage.Processor

	// Table is the partition's state.
	Table *stage.Table
	// Clock dates records that have no time.
	Clock *ManualClock
	next  int64
}

// NewDriver returns a driver of partition 0 of topic "in", whose clock shows 2026-01-01 00:00 UTC.
func NewDriver(t testing.TB, newProcessor stage.NewProcessor) *Driver {
	t.Helper()
	d := &Driver{
		t:            t,
		partition:    stage.Partition{Topic: "in"},
		newProcessor: newProcessor,
		Table:        stage.NewTable(),
		Clock:        NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	d.Restart()
	return d
}

// Restart builds the processor anew on the state it has saved, as after a crash or a rebalance.
func (d *Driver) Restart() {
	d.t.Helper()
	d.Table.Rollback()
	var err error
	d.processor, err = d.newProcessor(d.partition, d.Table)
	require.NoError(d.t, err)
}

// Next returns the offset that the next record gets.
func (d *Driver) Next() int64 { return d.next }

// Rewind makes the next record get an offset that was used before, as after a crash before the commit.
func (d *Driver) Rewind(offset int64) { d.next = offset }

// Process handles records as one batch and returns what it caused. Records get the next offsets, and the clock's time if
// they have none.
func (d *Driver) Process(records ...stage.Record) *stage.Outbox {
	d.t.Helper()
	out, err := d.TryProcess(records...)
	require.NoError(d.t, err)
	return out
}

// TryProcess is Process for batches that may fail.
func (d *Driver) TryProcess(records ...stage.Record) (*stage.Outbox, error) {
	batch := make([]stage.Record, len(records))
	for i, r := range records {
		r.Topic, r.Partition, r.Offset = d.partition.Topic, d.partition.ID, d.next+int64(i)
		if r.Time.IsZero() {
			r.Time = d.Clock.Now()
		}
		batch[i] = r
	}
	out := &stage.Outbox{}
	if err := d.processor.Process(d.t.Context(), batch, out); err != nil {
		d.Table.Rollback()
		return nil, err
	}
	d.Table.Commit()
	d.next += int64(len(records))
	return out, nil
}

// Tick gives the processor the clock's time and returns what it caused. The processor must be a stage.Ticker.
func (d *Driver) Tick() *stage.Outbox {
	d.t.Helper()
	ticker, ok := d.processor.(stage.Ticker)
	require.True(d.t, ok, "the processor is no stage.Ticker")
	out := &stage.Outbox{}
	require.NoError(d.t, ticker.Tick(d.t.Context(), d.Clock.Now(), out))
	d.Table.Commit()
	return out
}

// Run builds a processor and has it handle records as one batch.
func Run(t testing.TB, newProcessor stage.NewProcessor, records ...stage.Record) *stage.Outbox {
	t.Helper()
	return NewDriver(t, newProcessor).Process(records...)
}
