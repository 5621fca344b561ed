package notices

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// MaxParked is how far waiting writes are counted.
const MaxParked = 1000

// parkedPage is how many outcomes are read at once, and parkedPages how often: what a workspace's other connections park is counted
// too (promise 7).
const (
	parkedPage  = 1000
	parkedPages = 10
)

// countParked fills in how many writes wait for the notice's connection, and when the oldest of those is given up.
func (w *Worker) countParked(ctx context.Context, n *configv1.Notice) error {
	q := store.OutcomeQuery{Workspace: n.GetWorkspace(), Status: int32(streamv1.Status_STATUS_PARKED), Limit: parkedPage}
	var oldest time.Time
	for range parkedPages {
		rows, err := w.deps.RunLog.Outcomes(ctx, q)
		if err != nil {
			return err
		}
		for _, row := range rows {
			o := &streamv1.Outcome{}
			if err := proto.Unmarshal(row.Body, o); err != nil || o.GetConnection() != n.GetConnection() {
				continue // an outcome that does not decode is the run log's to report
			}
			oldest = row.DecidedAt
			if n.Parked++; n.GetParked() >= MaxParked {
				break
			}
		}
		if len(rows) < parkedPage || n.GetParked() >= MaxParked {
			break
		}
		last := rows[len(rows)-1]
		q.After = store.OutcomePosition{DecidedAt: last.DecidedAt, ID: last.ID}
	}
	if n.GetParked() > 0 && n.GetParked() < MaxParked && w.cfg.ParkedFor > 0 {
		n.ParkedUntil = timestamppb.New(oldest.Add(w.cfg.ParkedFor))
	}
	return nil
}
