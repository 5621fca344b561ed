package configbench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// questions are what people ask of the run log.
type questions struct {
	*bench
	s      *service
	all    sample
	random *rand.Rand
	// oldest is the first row that retention leaves alone in the last measurement.
	oldest int
	// recorded is how many outcomes have come in all, deleted ones included.
	recorded int
}

type question struct {
	kind string
	ask  func(ctx context.Context, n int) error
}

func (q *questions) kinds() []question {
	list := func(fill func(*configv1.ListOutcomesRequest, int)) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			req := &configv1.ListOutcomesRequest{Workspace: q.all.workspace(n)}
			fill(req, n)
			resp, err := q.s.trusted.ListOutcomes(ctx, req)
			if err == nil && len(resp.GetOutcomes()) == 0 && req.GetFrom() == nil {
				return fmt.Errorf("outcome %d was not found", n)
			}
			return err
		}
	}
	return []question{
		{"by event", list(func(r *configv1.ListOutcomesRequest, n int) { r.EventId = q.all.event(n) })},
		{"by write key", list(func(r *configv1.ListOutcomesRequest, n int) { r.WriteKey = q.all.write(n) })},
		{"by record", list(func(r *configv1.ListOutcomesRequest, n int) {
			n = q.written(n)
			r.Workspace, r.RecordId = q.all.workspace(n), q.all.record(n)
		})},
		{"by engagement", list(func(r *configv1.ListOutcomesRequest, n int) { r.EngagementId = q.all.engagement(n) })},
		{"failed in an hour", list(func(r *configv1.ListOutcomesRequest, n int) {
			r.Status, r.Reason = streamv1.Status_STATUS_FAILED, streamv1.Reason_REASON_SF_VALIDATION
			r.From, r.To = q.hour(n)
		})},
		{"a rare reason in an hour", list(func(r *configv1.ListOutcomesRequest, n int) {
			r.Status, r.Reason = streamv1.Status_STATUS_SKIPPED, rareReason
			r.From, r.To = q.hour(n)
		})},
		{"a reason that never was", func(ctx context.Context, n int) error {
			_, err := q.s.trusted.ListOutcomes(ctx, &configv1.ListOutcomesRequest{Workspace: q.all.workspace(n), Reason: neverReason})
			return err
		}},
		{"counts of an hour", func(ctx context.Context, n int) error {
			from, to := q.hour(n)
			_, err := q.s.trusted.CountOutcomes(ctx, &configv1.CountOutcomesRequest{Workspace: q.all.workspace(n), From: from, To: to})
			return err
		}},
		{"counts of an odd hour", func(ctx context.Context, n int) error {
			from, to := q.hour(n)
			odd := 1234 * time.Second
			_, err := q.s.trusted.CountOutcomes(ctx, &configv1.CountOutcomesRequest{
				Workspace: q.all.workspace(n), From: timestamppb.New(from.AsTime().Add(odd)), To: timestamppb.New(to.AsTime().Add(odd)),
			})
			return err
		}},
		{"days of an integration", func(ctx context.Context, n int) error {
			resp, err := q.s.days.ListIntegrationDays(ctx, &configv1.ListIntegrationDaysRequest{
				Workspace: q.all.workspace(n), Integration: q.all.integration(n),
			})
			if err == nil && len(resp.GetDays()) == 0 {
				return fmt.Errorf("integration of outcome %d has no days", n)
			}
			return err
		}},
		{"next page of everything", q.pages(&configv1.ListOutcomesRequest{To: timestamppb.New(q.all.at(q.all.total))})},
		{"next page of all failed", q.pages(&configv1.ListOutcomesRequest{Status: streamv1.Status_STATUS_FAILED})},
	}
}

// pages goes through a list of the largest workspace, a page with every question: the last ones are the deepest.
func (q *questions) pages(req *configv1.ListOutcomesRequest) func(context.Context, int) error {
	req.Workspace = workspaceID(0)
	return func(ctx context.Context, _ int) error {
		resp, err := q.s.trusted.ListOutcomes(ctx, req)
		if err == nil && len(resp.GetOutcomes()) == 0 {
			return errors.New("a page is empty")
		}
		req.PageToken = resp.GetNextPageToken()
		return err
	}
}

// written is the nearest outcome from n on that has a record.
func (q *questions) written(n int) int {
	for ; n < q.all.total; n++ {
		if status, _ := q.all.became(n); status == streamv1.Status_STATUS_WRITTEN {
			return n
		}
	}
	return 0
}

func (q *questions) hour(n int) (from, to *timestamppb.Timestamp) {
	at := q.all.at(n).Truncate(time.Hour)
	return timestamppb.New(at), timestamppb.New(at.Add(time.Hour))
}

// any is an outcome that retention leaves alone in every measurement.
func (q *questions) any() int {
	return q.oldest + q.random.IntN(q.all.total-q.oldest)
}

func (q *questions) timed(ctx context.Context, ask func(context.Context, int) error) (time.Duration, error) {
	n, began := q.any(), time.Now()
	err := ask(ctx, n)
	return time.Since(began), err
}

// ask measures every kind of question, in turn.
func (m *bench) ask(ctx context.Context, q *questions, r *RunLog) error {
	fmt.Fprintf(m.w, "\nRun log on %s: %d outcomes, %d questions of each kind\n", r.Database, r.Outcomes, m.cfg.Queries)
	fmt.Fprintf(m.w, spreadHeader, "", "p50 ms", "p99 ms", "max ms", "ratio")
	measure := func(ask func(context.Context, int) error) (Spread, error) {
		took := make([]time.Duration, m.cfg.Queries)
		for i := range took {
			var err error
			if took[i], err = q.timed(ctx, ask); err != nil {
				return Spread{}, err
			}
		}
		return spread(took), nil
	}
	var err error
	r.Bare, err = measure(func(ctx context.Context, _ int) error {
		_, err := q.s.admin.GetWorkspace(ctx, &configv1.GetWorkspaceRequest{Workspace: workspaceID(0)})
		return err
	})
	if err != nil {
		return err
	}
	r.Bare.writeTo(m.w, "one setting by primary key", 0)
	for _, kind := range q.kinds() {
		took, err := measure(kind.ask)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.kind, err)
		}
		answer := Query{Kind: kind.kind, Ratio: took.P50 / max(r.Bare.P50, 0.001), Spread: took}
		answer.writeTo(m.w, kind.kind, answer.Ratio)
		r.Queries = append(r.Queries, answer)
	}
	return nil
}

// askWhileCleaning asks every kind in turn until retention has deleted what is too old.
func (m *bench) askWhileCleaning(ctx context.Context, q *questions, r *RunLog) error {
	ctx, cancel := context.WithTimeout(ctx, cleanWithin)
	defer cancel()
	kinds, began := q.kinds(), time.Now()
	var took []time.Duration
	for i := 0; ; i++ {
		t, err := q.timed(ctx, kinds[i%len(kinds)].ask)
		if err != nil {
			return fmt.Errorf("%s: %w", kinds[i%len(kinds)].kind, err)
		}
		took = append(took, t)
		if i%len(kinds) != 0 {
			continue
		}
		// The workspace with half of all rows is done last.
		if there, err := q.there(ctx, q.oldest-2); err != nil || !there {
			r.Cleaning, r.Deleted = spread(took), purgedShare*float64(q.all.total)/time.Since(began).Seconds()
			r.Cleaning.writeTo(m.w, "all kinds, while rows are deleted", 0)
			fmt.Fprintf(m.w, "%-34s %10.0f rows/s\n", "deleted meanwhile", r.Deleted)
			return err
		}
	}
}

// there reports whether the run log has the row of the n-th outcome.
func (q *questions) there(ctx context.Context, n int) (bool, error) {
	resp, err := q.s.trusted.ListOutcomes(ctx, &configv1.ListOutcomesRequest{Workspace: q.all.workspace(n), EventId: q.all.event(n)})
	return len(resp.GetOutcomes()) > 0, err
}

// findOldest sets what is to be deleted next: a share of the rows behind those that earlier runs have deleted.
func (q *questions) findOldest(ctx context.Context) error {
	step := int(float64(q.all.total) * purgedShare)
	for q.oldest = step; q.oldest < q.all.total; q.oldest += step {
		there, err := q.there(ctx, q.oldest-step/2)
		if err != nil || there {
			return err
		}
	}
	return errors.New("nothing is left of the kept run log: remove it")
}
