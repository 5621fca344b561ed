package configbench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/throughline-dev/throughline/libs/secret"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config"
)

// recordBatches is how many batches are recorded into the full run log; they come after those that it was filled with.
const recordBatches = 20

// record measures how fast a full run log takes outcomes, in the batches in which the service takes them from its topic.
func (m *bench) record(ctx context.Context, q *questions, r *RunLog) error {
	size := min(config.DefaultConfig().RunLog.Stage.BatchRecords, m.cfg.Outcomes/recordBatches)
	took := make([]time.Duration, recordBatches)
	began := time.Now()
	for i := range took {
		batch := make([]*streamv1.Outcome, size)
		for n := range batch {
			batch[n] = q.all.outcome(q.recorded + n)
		}
		at := time.Now()
		if err := q.s.RecordOutcomes(ctx, batch); err != nil {
			return err
		}
		took[i] = time.Since(at)
		q.recorded += size
	}
	r.Recorded, r.Recording = float64(recordBatches*size)/time.Since(began).Seconds(), spread(took)
	r.Recording.writeTo(m.w, fmt.Sprintf("a batch of %d recorded", size), 0)
	fmt.Fprintf(m.w, "%-34s %10.0f rows/s\n", "recorded", r.Recorded)
	return nil
}

// weigh says how large the database is.
func (m *bench) weigh(ctx context.Context, r *RunLog, file string, dsn secret.String) (err error) {
	if dsn.IsEmpty() {
		for _, part := range []string{file, file + "-wal"} {
			info, err := os.Stat(part)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			if err == nil {
				r.Bytes += info.Size()
			}
		}
	} else if err := weighPostgres(ctx, r, dsn); err != nil {
		return err
	}
	fmt.Fprintf(m.w, "%-34s %10.2f GB", "size", float64(r.Bytes)/1e9)
	if r.Indexes > 0 {
		fmt.Fprintf(m.w, ", of which indexes %.2f GB", float64(r.Indexes)/1e9)
	}
	fmt.Fprintln(m.w)
	return nil
}

func weighPostgres(ctx context.Context, r *RunLog, dsn secret.String) (err error) {
	db, err := sql.Open("pgx", dsn.Reveal())
	if err != nil {
		return errors.New("the DSN is not one of PostgreSQL") // promise 8
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.QueryRowContext(ctx, `SELECT SUM(pg_total_relation_size(c.oid))::BIGINT,
		SUM(pg_indexes_size(c.oid)) FILTER (WHERE relname = 'outcomes')::BIGINT
		FROM pg_class c WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'`).Scan(&r.Bytes, &r.Indexes)
}
