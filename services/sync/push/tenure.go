package push

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Runs is the part of the config service that hands out runs; configv1.ReportRunServiceClient is one.
type Runs interface {
	ClaimReportRun(context.Context, *configv1.ClaimReportRunRequest, ...grpc.CallOption) (*configv1.ClaimReportRunResponse, error)
	RecordReportRun(context.Context, *configv1.RecordReportRunRequest, ...grpc.CallOption) (*configv1.RecordReportRunResponse, error)
}

// Why a run is given up without a word: somebody else goes on with it, or nobody is to.
var (
	errLost    = errors.New("the claim went to another worker")
	errStopped = errors.New("the run was stopped")
	errUnkept  = errors.New("the claim could not be renewed by a defect of this program")
)

// tenure is a claim on a run: it is renewed while the work goes on, and everything told of the run goes through it.
type tenure struct {
	cfg    *Config
	runs   Runs
	run    *configv1.ReportRun
	worker string
	logger *slog.Logger
	// give ends the work, with errLost or errStopped.
	give context.CancelCauseFunc

	mu    sync.Mutex
	until time.Time
	note  string
	// standing is what is noted while the run does not wait.
	standing string
	// stopping: the run ends after its current chunk.
	stopping bool
}

// tell records something about the run and repeats it until config has it, the claim is lost or ctx ends.
func (t *tenure) tell(ctx context.Context, req *configv1.RecordReportRunRequest) error {
	req.Workspace, req.Run, req.Worker = t.run.GetWorkspace(), t.run.GetId(), t.worker
	wait := t.cfg.WaitMin
	for {
		err := t.once(ctx, req)
		switch status.Code(err) {
		case codes.OK:
			return nil
		case codes.Aborted, codes.NotFound, codes.FailedPrecondition, codes.InvalidArgument, codes.PermissionDenied:
			t.logger.WarnContext(ctx, "a run of a report is given up: config does not take what is told of it", "error", err)
			return errLost
		}
		if !pause(ctx, wait) {
			return context.Cause(ctx)
		}
		wait = min(2*wait, t.cfg.WaitMax)
	}
}

func (t *tenure) once(ctx context.Context, req *configv1.RecordReportRunRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, t.cfg.CallTimeout)
	defer cancel()
	answer, err := t.runs.RecordReportRun(bounded, req)
	if err != nil {
		return err
	}
	t.until, t.stopping = answer.GetClaimedUntil().AsTime(), t.stopping || answer.GetStop()
	return nil
}

// stopped reports whether somebody wants no more chunks.
func (t *tenure) stopped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stopping
}

// keep renews the claim until ctx ends. A claim that ran out goes to another worker, and the work here must end: promise 5 does not
// depend on it, but two workers cost twice the calls.
func (t *tenure) keep(ctx context.Context) {
	for {
		t.mu.Lock()
		left := time.Until(t.until)
		t.mu.Unlock()
		if !pause(ctx, max(left/3, t.cfg.WaitMin/10)) {
			return
		}
		t.mu.Lock()
		note := t.note
		t.mu.Unlock()
		err := t.once(ctx, &configv1.RecordReportRunRequest{
			Workspace: t.run.GetWorkspace(), Run: t.run.GetId(), Worker: t.worker, Detail: note,
		})
		switch {
		case status.Code(err) == codes.Aborted:
			t.give(errLost)
			return
		case err != nil:
			t.logger.WarnContext(ctx, "the claim on a run could not be renewed; trying again", "error", err)
		}
	}
}

// remark is noted for as long as the run does not wait.
func (t *tenure) remark(ctx context.Context, note string) {
	t.mu.Lock()
	t.standing = note
	t.mu.Unlock()
	t.say(ctx, "")
}

// say notes why the run waits; "" that it goes on. Told with the next renewal if not at once.
func (t *tenure) say(ctx context.Context, note string) {
	t.mu.Lock()
	if note == "" {
		note = t.standing
	}
	changed := t.note != note
	t.note = note
	t.mu.Unlock()
	if !changed {
		return
	}
	err := t.once(ctx, &configv1.RecordReportRunRequest{Workspace: t.run.GetWorkspace(), Run: t.run.GetId(), Worker: t.worker, Detail: note})
	if status.Code(err) == codes.Aborted {
		t.give(errLost)
	}
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
