package reports

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Documents reads settings.
type Documents interface {
	Get(ctx context.Context, key store.Key) (store.Document, error)
	GetVersion(ctx context.Context, key store.Key, version int64) (store.Document, error)
}

// Schedules keeps which days of pushes are done.
type Schedules interface {
	DuePushes(ctx context.Context, day int64) ([]store.PushSchedule, error)
	EnabledPushes(ctx context.Context) (int64, error)
	ScheduledDay(ctx context.Context, workspace, push string) (int64, error)
}

// Starter makes runs.
type Starter interface {
	StartRun(ctx context.Context, run store.ReportRun, hand *store.ByHand) (store.ReportRun, error)
	MissDay(ctx context.Context, run store.ReportRun) error
}

// Claims gives runs to workers.
type Claims interface {
	ClaimRun(ctx context.Context, worker string, now, until time.Time) (store.ReportRun, error)
	PrepareRun(ctx context.Context, run store.ReportRun) error
	ReleaseRun(ctx context.Context, run store.ReportRun, until time.Time) error
}

// Ends ends runs, and pauses what fails.
type Ends interface {
	EndRun(ctx context.Context, workspace, id string, end store.RunEnd) (bool, error)
	OverdueRuns(ctx context.Context, began, silent time.Time) ([]store.ReportRun, error)
	WaitingRuns(ctx context.Context) ([]store.ReportRun, error)
}

// Pauses finds pushes that fail, and saves them.
type Pauses interface {
	FailingPushes(ctx context.Context, days int64) ([]store.PushSchedule, error)
	PutPush(ctx context.Context, save store.Save, change store.PushChange) error
}

// Judge tells whether a push can be carried out, and keeps what is wrong with it. See catalogue.Catalogue.
type Judge interface {
	JudgePush(ctx context.Context, push *configv1.ReportPush) error
}

// Deliveries finds the rows of reports.
type Deliveries interface {
	// NewestDelivery returns the newest one of a report, and whether a run of the push has completed with it.
	NewestDelivery(ctx context.Context, workspace, report, push string) (d store.ReportDelivery, done bool, err error)
}

// Connections knows where connections stand.
type Connections interface {
	ConnectionStatus(ctx context.Context, workspace, connection string) (connstate.Status, error)
}

// Describer asks an org what it has of an object now; nil for one that is not there. See catalogue.Catalogue.
type Describer interface {
	Fresh(ctx context.Context, conn *configv1.Connection, object string) (*configv1.DescribedObject, error)
}

// Deps is what a Runner works with; all of it is required.
type Deps struct {
	Documents   Documents
	Schedules   Schedules
	Starter     Starter
	Claims      Claims
	Ends        Ends
	Pauses      Pauses
	Judge       Judge
	Deliveries  Deliveries
	Connections Connections
	Describer   Describer
	Clock       interface{ Now() time.Time }
	Logger      *slog.Logger
}

// Runner makes runs and hands them out. Safe for concurrent use, and beside those of other replicas.
type Runner struct {
	cfg  Config
	deps Deps
}

// New returns a runner.
func New(cfg Config, deps Deps) *Runner { return &Runner{cfg: cfg, deps: deps} }

// Next is when a push that is switched on will run next.
func (r *Runner) Next(ctx context.Context, workspace, push string) (time.Time, error) {
	done, err := r.deps.Schedules.ScheduledDay(ctx, workspace, push)
	if err != nil {
		return time.Time{}, err
	}
	pushes, err := r.deps.Schedules.EnabledPushes(ctx)
	return r.cfg.next(done, workspace, pushes, r.deps.Clock.Now()), err
}

// Begun is the day that counts as done for a push that is switched on now.
func (r *Runner) Begun(ctx context.Context, workspace string) (int64, error) {
	pushes, err := r.deps.Schedules.EnabledPushes(ctx)
	return r.cfg.begun(workspace, pushes, r.deps.Clock.Now()), err
}

// StartNow starts a run of a push by hand, which is not moved on in its schedule by that. The errors are those of store.StartRun.
func (r *Runner) StartNow(ctx context.Context, push *configv1.ReportPush, by store.Act) (store.ReportRun, error) {
	now := r.deps.Clock.Now()
	run, err := r.runOf(ctx, push, store.NoDay)
	if err != nil {
		return store.ReportRun{}, err
	}
	run.Cause = int32(configv1.ReportRunTrigger_REPORT_RUN_TRIGGER_MANUAL)
	return r.deps.Starter.StartRun(ctx, run, &store.ByHand{By: by, Most: r.cfg.Manual, Since: now.Add(-time.Hour)})
}

// startDue makes the runs that are due now and notes the days that were missed.
func (r *Runner) startDue(ctx context.Context, start bool) error {
	now := r.deps.Clock.Now()
	last := dayOf(now.Add(-hour)) // before nine o'clock nothing of today is due
	due, err := r.deps.Schedules.DuePushes(ctx, last)
	if err != nil || len(due) == 0 {
		return err
	}
	pushes, err := r.deps.Schedules.EnabledPushes(ctx)
	if err != nil {
		return err
	}
	for _, p := range due {
		err := stage.Guarded(func() error { return r.catchUp(ctx, p, days{last: last, pushes: pushes, start: start}) })
		if err != nil && ctx.Err() == nil {
			r.deps.Logger.ErrorContext(ctx, "a push could not be started; it will be tried again", // promise 6: one of them stops no other
				"workspace", p.Workspace, "push", p.Push, "error", err)
		}
	}
	return ctx.Err()
}

// days is what there is to do about a push's schedule.
type days struct {
	last, pushes int64
	// start is set when somebody is there to carry a run out.
	start bool
}

// mostMissed is how many missed days are noted at once; before them nobody looked for so long that it is no news.
const mostMissed = 31

// catchUp notes the days of a push that are over and starts the run of the one that is not.
func (r *Runner) catchUp(ctx context.Context, p store.PushSchedule, d days) error {
	now := r.deps.Clock.Now()
	push, err := r.push(ctx, p.Workspace, p.Push, 0)
	if err != nil {
		return err
	}
	for on := max(p.Day+1, d.last-mostMissed); on <= d.last; on++ {
		due := r.cfg.due(on, p.Workspace, d.pushes)
		if now.Before(due) {
			return nil
		}
		run, err := r.runOf(ctx, push, on)
		if err != nil {
			return err
		}
		if now.Before(due.Add(r.cfg.CatchUp)) {
			if !d.start {
				return nil
			}
			return r.start(ctx, run, now.Sub(due))
		}
		run.StartedAt, run.EndedAt = due, due
		run.Cause = int32(configv1.ReportRunTrigger_REPORT_RUN_TRIGGER_SCHEDULE)
		run.Detail = fmt.Sprintf("no run could begin within %s of its time: nothing was there to carry it out, or another run was under way", r.cfg.CatchUp)
		if err := r.deps.Starter.MissDay(ctx, run); err != nil {
			return err
		}
		r.deps.Logger.WarnContext(ctx, "a day's run of a report push was missed", "workspace", p.Workspace, "push", p.Push, "due", due)
	}
	return nil
}

// late is from when on a scheduled run is told to be one that was caught up.
const late = 5 * time.Minute

func (r *Runner) start(ctx context.Context, run store.ReportRun, after time.Duration) error {
	run.Cause = int32(configv1.ReportRunTrigger_REPORT_RUN_TRIGGER_SCHEDULE)
	if after > late {
		run.Cause = int32(configv1.ReportRunTrigger_REPORT_RUN_TRIGGER_CATCH_UP)
	}
	_, err := r.deps.Starter.StartRun(ctx, run, nil)
	if errors.Is(err, store.ErrBusy) || errors.Is(err, store.ErrStale) {
		return nil // one at a time; another replica was faster, or somebody switched it off
	}
	return err
}

// runOf makes a run of a push as it is now.
func (r *Runner) runOf(ctx context.Context, push *configv1.ReportPush, on int64) (store.ReportRun, error) {
	name := push.GetReport()
	report, err := r.report(ctx, push)
	switch {
	case err == nil:
		name = report.GetName()
	case !errors.Is(err, store.ErrNotFound): // a report that is gone is told of when the run is prepared
		return store.ReportRun{}, err
	}
	return store.ReportRun{
		Workspace: push.GetWorkspace(), ID: rand.Text(), Push: push.GetId(), PushVersion: push.GetVersion(), Report: push.GetReport(),
		ReportName: name, Object: push.GetObject(), Connection: push.GetConnection(), Day: on, StartedAt: r.deps.Clock.Now(),
	}, nil
}

// push reads a version of a push; 0 is the newest.
func (r *Runner) push(ctx context.Context, workspace, id string, version int64) (*configv1.ReportPush, error) {
	key := store.Key{Workspace: workspace, Kind: store.KindReportPush, ID: id}
	out := &configv1.ReportPush{}
	if version == 0 {
		return out, r.read(ctx, key, out)
	}
	doc, err := r.deps.Documents.GetVersion(ctx, key, version)
	if err != nil {
		return nil, err
	}
	return out, decode(doc, out)
}

func (r *Runner) report(ctx context.Context, push *configv1.ReportPush) (*configv1.Report, error) {
	out := &configv1.Report{}
	return out, r.read(ctx, store.Key{Workspace: push.GetWorkspace(), Kind: store.KindReport, ID: push.GetReport()}, out)
}

func (r *Runner) read(ctx context.Context, key store.Key, out proto.Message) error {
	doc, err := r.deps.Documents.Get(ctx, key)
	if err != nil {
		return err
	}
	return decode(doc, out)
}

func decode(doc store.Document, out proto.Message) error {
	if err := proto.Unmarshal(doc.Body, out); err != nil {
		return fmt.Errorf("decode %s %s of workspace %s: %w", doc.Kind, doc.ID, doc.Workspace, err)
	}
	return nil
}
