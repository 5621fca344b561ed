package reports_test

import (
	"context"
	"math"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// A run that makes the program panic ends with the reason; the worker goes on with others.
func TestAPanicEndsItsRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Runs.Workers = 1
	b.contacts(contact("key-1"))
	defect := true
	b.deps.Behind = func(context.Context, string, string) (int64, error) {
		if defect {
			defect = false
			panic("a defect that quotes key-1")
		}
		return 0, nil
	}
	b.deliver([]string{"key", "score", "active"}, []any{"key-1", 7, true})
	b.start()
	b.eventually(b.runs.done, "the run ended")
	require.Contains(t, b.runs.failure.GetDetail(), "a defect at")
	require.NotContains(t, b.runs.failure.GetDetail(), "quotes")
	b.runs.again()
	b.eventually(b.runs.done, "the next run ended")
	require.Nil(t, b.runs.failure)
	require.Len(t, b.writes(), 1)
}

// So does one whose panic is in a query, of which several are under way side by side.
func TestAPanicInAQueryEndsItsRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Orgs = oddOrgs{b}
	b.deliver([]string{"key", "score", "active"}, []any{"key-1", 7, true})
	b.start()
	b.eventually(b.runs.done, "the run ended")
	require.Contains(t, b.runs.failure.GetDetail(), "a defect at")
	require.NotContains(t, b.runs.failure.GetDetail(), "quotes")
}

// oddOrgs panics when it is called by one of several queries.
type oddOrgs struct{ b *testBundle }

func (o oddOrgs) Client(workspace, connection string) (*salesforce.Client, error) {
	if strings.Contains(string(debug.Stack()), "errgroup") {
		panic("a defect that quotes key-1")
	}
	return o.b.Client(workspace, connection)
}

// brittleRuns panics when runs are asked for, or when a claim is renewed, while it is told to.
type brittleRuns struct {
	*runs
	claims, renewals atomic.Bool
	panicked         atomic.Int64
}

func (r *brittleRuns) ClaimReportRun(
	ctx context.Context, req *configv1.ClaimReportRunRequest, options ...grpc.CallOption,
) (*configv1.ClaimReportRunResponse, error) {
	if r.claims.Load() {
		r.panicked.Add(1)
		panic("a defect that quotes key-1")
	}
	answer, err := r.runs.ClaimReportRun(ctx, req, options...)
	if answer.GetRun() != nil {
		answer.ClaimedUntil = timestamppb.New(answer.GetRun().GetStartedAt().AsTime()) // to be renewed at once
	}
	return answer, err
}

func (r *brittleRuns) RecordReportRun(
	ctx context.Context, req *configv1.RecordReportRunRequest, options ...grpc.CallOption,
) (*configv1.RecordReportRunResponse, error) {
	if req.GetChunk() == nil && req.GetReason() == 0 && r.renewals.Load() {
		r.panicked.Add(1)
		panic("a defect that quotes key-1")
	}
	return r.runs.RecordReportRun(ctx, req, options...)
}

// Workers outlive a defect in what hands out runs.
func TestAPanicWhileARunIsClaimedEndsNoWorker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Runs.Workers = 1
	odd := &brittleRuns{runs: b.runs}
	odd.claims.Store(true)
	b.deps.Runs = odd
	b.contacts(contact("key-1"))
	b.deliver([]string{"key", "score", "active"}, []any{"key-1", 7, true})
	b.start()
	b.eventually(func() bool { return odd.panicked.Load() > 2 }, "it was tried again")
	odd.claims.Store(false)
	b.eventually(b.runs.done, "the run ended")
	require.Nil(t, b.runs.failure)
	require.Len(t, b.writes(), 1)
}

// A run whose claim cannot be renewed is left to the next worker, and the process goes on.
func TestAPanicWhileAClaimIsRenewedEndsTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Runs.Workers = 1
	odd := &brittleRuns{runs: b.runs}
	odd.renewals.Store(true)
	b.deps.Runs = odd
	b.deps.Behind = func(context.Context, string, string) (int64, error) {
		if odd.renewals.Load() {
			return math.MaxInt64, nil // the run waits for the writer meanwhile
		}
		return 0, nil
	}
	b.contacts(contact("key-1"))
	b.deliver([]string{"key", "score", "active"}, []any{"key-1", 7, true})
	b.start()
	b.eventually(func() bool { return odd.panicked.Load() > 0 }, "the claim was to be renewed")
	odd.renewals.Store(false)
	b.runs.release() // its claim runs out
	b.eventually(b.runs.done, "the run ended")
	require.Nil(t, b.runs.failure)
	require.Len(t, b.writes(), 1)
}
