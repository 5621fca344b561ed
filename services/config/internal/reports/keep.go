package reports

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Run keeps order until ctx ends. A failure is logged and tried again the next time.
func (r *Runner) Run(ctx context.Context) {
	ticker := time.NewTicker(r.cfg.Every)
	defer ticker.Stop()
	for {
		if err := r.Keep(ctx); err != nil && ctx.Err() == nil {
			r.deps.Logger.ErrorContext(ctx, "the runs of report pushes could not be looked through; it will be tried again", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Keep notes missed days, ends runs that take too long, whose worker did not hear that they were stopped or whose org is not
// connected any more, and pauses pushes that fail day after day.
func (r *Runner) Keep(ctx context.Context) error {
	var errs []error
	due := func(ctx context.Context) error { return r.startDue(ctx, false) }
	for _, look := range []func(context.Context) error{due, r.endOverdue, r.endDisconnected, r.pauseFailing} {
		errs = append(errs, stage.Guarded(func() error { return look(ctx) }))
	}
	return errors.Join(errs...)
}

// each looks at runs or pushes one by one: what one of them does not let through, be it by a defect, waits for the next time, and
// the others do not (promise 6).
func each[T any](all []T, of func(T) (workspace, push string), look func(T) error) error {
	var errs []error
	for _, one := range all {
		if err := stage.Guarded(func() error { return look(one) }); err != nil {
			workspace, push := of(one)
			errs = append(errs, fmt.Errorf("push %s of workspace %s: %w", push, workspace, err))
		}
	}
	return errors.Join(errs...)
}

func pushOfRun(run store.ReportRun) (workspace, push string) { return run.Workspace, run.Push }

// endDisconnected ends runs that wait for nothing but the writer, whose org was disconnected meanwhile (WALK-6). What was written
// stays counted, and what is parked is counted when it is written after all.
func (r *Runner) endDisconnected(ctx context.Context) error {
	runs, err := r.deps.Ends.WaitingRuns(ctx)
	if err != nil {
		return err
	}
	return each(runs, pushOfRun, func(run store.ReportRun) error {
		why, err := r.Disconnected(ctx, run.Workspace, run.Connection)
		if err != nil || why == "" {
			return err
		}
		why = fmt.Sprintf("%s; %d rows wait for it", why, run.Counts.Pending())
		return r.end(ctx, run, *failed(streamv1.Reason_REASON_SF_AUTH_REVOKED, "%s", why))
	})
}

func (r *Runner) endOverdue(ctx context.Context) error {
	now := r.deps.Clock.Now()
	runs, err := r.deps.Ends.OverdueRuns(ctx, now.Add(-r.cfg.Longest), now)
	if err != nil {
		return err
	}
	return each(runs, pushOfRun, func(run store.ReportRun) error {
		end := store.RunEnd{Status: store.RunFailed, Detail: run.Stop, At: now}
		if run.Stop == "" {
			end.Reason = run.Reason
			end.Detail = fmt.Sprintf("cancelled: the run took longer than %s", r.cfg.Longest)
			if waits := run.Counts.Pending(); waits > 0 {
				end.Detail += fmt.Sprintf("; %d rows still wait for Salesforce", waits)
			}
			if run.Detail != "" {
				end.Detail += "; " + run.Detail
			}
		}
		return r.end(ctx, run, end)
	})
}

// pauseFailing pauses pushes whose scheduled runs failed on so many days in a row (WALK-36).
func (r *Runner) pauseFailing(ctx context.Context) error {
	failing, err := r.deps.Pauses.FailingPushes(ctx, r.cfg.FailedDays)
	if err != nil {
		return err
	}
	return each(failing, func(p store.PushSchedule) (string, string) { return p.Workspace, p.Push },
		func(p store.PushSchedule) error { return r.pause(ctx, p) })
}

func (r *Runner) pause(ctx context.Context, p store.PushSchedule) error {
	push, err := r.push(ctx, p.Workspace, p.Push, 0)
	if err != nil {
		return err
	}
	why := fmt.Sprintf("its scheduled runs failed on %d days in a row; see what they say, correct it and switch it on again", p.FailedDays)
	save, err := Paused(push, why)
	if err != nil {
		return err
	}
	save.At, save.Author, save.Role, save.Action = r.deps.Clock.Now(), "schedule", "service", "PauseReportPush"
	err = r.deps.Pauses.PutPush(ctx, save, store.PushChange{})
	if errors.Is(err, store.ErrStale) {
		return nil // somebody saved it meanwhile: look again the next time
	}
	if err != nil {
		return err
	}
	r.deps.Logger.WarnContext(ctx, "a report push was paused: its runs fail day after day",
		"workspace", p.Workspace, "push", p.Push, "days", p.FailedDays)
	if push, err = r.push(ctx, p.Workspace, p.Push, 0); err != nil {
		return err
	}
	return r.deps.Judge.JudgePush(ctx, push)
}

// Paused is how a push is saved as the service pauses it: switched off, with the reason. Who does it and when is still to be said.
func Paused(push *configv1.ReportPush, why string) (store.Save, error) {
	next := proto.CloneOf(push)
	next.Enabled, next.PausedBecause, next.Version = false, why, push.GetVersion()+1
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(next)
	if err != nil {
		return store.Save{}, fmt.Errorf("encode push %s of workspace %s: %w", push.GetId(), push.GetWorkspace(), err)
	}
	found, err := proto.MarshalOptions{Deterministic: true}.Marshal(&configv1.AuditEntry{Changes: changes.Between(push, next, "version")})
	if err != nil {
		return store.Save{}, fmt.Errorf("encode what changed of push %s: %w", push.GetId(), err)
	}
	return store.Save{
		Key:      store.Key{Workspace: push.GetWorkspace(), Kind: store.KindReportPush, ID: push.GetId()},
		Expected: push.GetVersion(), Body: body, Reason: why, Changes: found,
	}, nil
}
