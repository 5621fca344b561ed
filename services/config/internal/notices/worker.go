package notices

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Notices keeps them, and who was told.
type Notices interface {
	SeeNotices(ctx context.Context, found []store.Notice, at time.Time) error
	Notices(ctx context.Context, workspace string, endedFrom time.Time) ([]store.Notice, error)
	WorkspacesWithNotices(ctx context.Context) ([]string, error)
}

// Purger forgets what is too old.
type Purger interface {
	PurgeNotices(ctx context.Context, before time.Time) error
}

// Tellings says who may be told now.
type Tellings interface {
	ClaimTelling(ctx context.Context, t store.Telling, now, until time.Time) (ok bool, tries int, err error)
	FinishTelling(ctx context.Context, t store.Telling, told, next time.Time) error
	FailTelling(ctx context.Context, t store.Telling, next time.Time) error
}

// Documents reads workspaces and recipients.
type Documents interface {
	Get(ctx context.Context, key store.Key) (store.Document, error)
	List(ctx context.Context, workspace string, kind store.Kind) ([]store.Document, error)
}

// RunLog tells which writes wait.
type RunLog interface {
	Outcomes(ctx context.Context, q store.OutcomeQuery) ([]store.Outcome, error)
}

// Deps is what a Worker works with; all of it is required.
type Deps struct {
	Troubles     Troubles
	Diagnoses    Diagnoses
	Notices      Notices
	Tellings     Tellings
	Purger       Purger
	Documents    Documents
	RunLog       RunLog
	Runs         Runs
	Installation *seal.Installation
	Clock        interface{ Now() time.Time }
	Logger       *slog.Logger
}

// Worker looks for what is in the way and tells those who want to know. Safe for concurrent use, also in several replicas.
type Worker struct {
	cfg    Config
	deps   Deps
	sender *sender
}

// New returns a worker. The error names the key that is wrong.
func New(cfg Config, deps Deps) (*Worker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s, err := newSender(cfg)
	if err != nil {
		return nil, err
	}
	return &Worker{cfg: cfg, deps: deps, sender: s}, nil
}

// Run looks and tells until ctx ends.
func (w *Worker) Run(ctx context.Context) {
	ticker := time.NewTicker(w.cfg.LookEvery)
	defer ticker.Stop()
	for {
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			w.deps.Logger.ErrorContext(ctx, "notices could not be looked after; it will be tried again", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Look finds what is in the way now, keeps it, and tells whoever may be told. A recipient who cannot be reached is no error: it is
// logged, without its address, and tried again.
func (w *Worker) Look(ctx context.Context) error {
	now := w.deps.Clock.Now() // before looking: a replica that looked later knows better
	found, err := w.find(ctx, now)
	if err != nil {
		return err
	}
	if err := w.deps.Notices.SeeNotices(ctx, found, now); err != nil {
		return err
	}
	workspaces, err := w.deps.Notices.WorkspacesWithNotices(ctx)
	if err != nil {
		return err
	}
	// Promise 6: a recipient who hangs delays nobody of another workspace, and promise 7: only so many at a time.
	told := together(workspaces, func(workspace string) error { return w.tell(ctx, workspace) })
	return errors.Join(told, w.deps.Purger.PurgeNotices(ctx, now.Add(-w.cfg.Keep)))
}

// atOnce bounds how many workspaces are told at a time, and how many recipients of each.
const atOnce = 16

// together calls f for each of all, some at a time, and returns what failed.
func together[T any](all []T, f func(T) error) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	errs := make([]error, len(all))
	for i, one := range all {
		g.Go(func() error {
			errs[i] = f(one)
			return nil // one failure stops no other
		})
	}
	return errors.Join(g.Wait(), errors.Join(errs...))
}

func (w *Worker) tell(ctx context.Context, workspace string) error {
	docs, err := w.deps.Documents.List(ctx, workspace, store.KindRecipient)
	if err != nil || len(docs) == 0 {
		return err
	}
	rows, err := w.deps.Notices.Notices(ctx, workspace, w.deps.Clock.Now().Add(time.Second)) // none that has ended
	if err != nil {
		return err
	}
	doc, err := w.deps.Documents.Get(ctx, store.Key{Workspace: workspace, Kind: store.KindWorkspace, ID: workspace})
	if err != nil {
		return err
	}
	ws := &configv1.Workspace{}
	if err := proto.Unmarshal(doc.Body, ws); err != nil {
		return err
	}
	docs = slices.DeleteFunc(docs, func(doc store.Document) bool { return len(doc.Sealed) == 0 }) // removed
	return together(docs, func(doc store.Document) error {
		wanted, err := w.wantedBy(doc.ID, docs, rows)
		if err != nil {
			return err
		}
		return w.tellOne(ctx, ws, doc, wanted)
	})
}

// wantedBy are the notices that a recipient is told of. One whose recipients are all gone is told to everybody: nothing is left out.
func (w *Worker) wantedBy(recipient string, there []store.Document, rows []store.Notice) ([]store.Notice, error) {
	var out []store.Notice
	for _, row := range rows {
		n := &configv1.Notice{}
		if err := proto.Unmarshal(row.Body, n); err != nil {
			return nil, fmt.Errorf("decode notice %s of workspace %s: %w", row.ID, row.Workspace, err)
		}
		chosen := n.GetRecipients()
		if slices.Contains(chosen, recipient) || !slices.ContainsFunc(there, func(doc store.Document) bool { return slices.Contains(chosen, doc.ID) }) {
			out = append(out, row)
		}
	}
	return out, nil
}

// tellOne sends one message with everything that the recipient may be told now.
func (w *Worker) tellOne(ctx context.Context, ws *configv1.Workspace, doc store.Document, rows []store.Notice) error {
	now := w.deps.Clock.Now()
	var due []*configv1.Notice
	var tellings []store.Telling
	var tries int
	for _, row := range rows {
		if now.Before(row.QuietUntil) {
			continue
		}
		t := store.Telling{Workspace: ws.GetId(), Notice: row.ID, Recipient: doc.ID}
		// Whoever dies now leaves it to be sent when the claim ends.
		ok, failed, err := w.deps.Tellings.ClaimTelling(ctx, t, now, now.Add(2*w.cfg.Timeout+w.cfg.RetryMin))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		n, err := w.Message(ctx, row)
		if err != nil {
			return err
		}
		due, tellings, tries = append(due, n), append(tellings, t), max(tries, failed)
	}
	if len(due) == 0 {
		return nil
	}
	recipient, err := Open(w.deps.Installation, doc)
	if err == nil {
		err = w.send(ctx, ws, recipient, due)
	}
	if err != nil {
		w.deps.Logger.WarnContext(ctx, "a recipient of notices could not be reached; it is tried again",
			"workspace", ws.GetId(), "recipient", doc.ID, "tries", tries+1, "error", err)
	}
	return w.note(ctx, tellings, tries, err == nil)
}

func (w *Worker) note(ctx context.Context, tellings []store.Telling, tries int, told bool) error {
	now := w.deps.Clock.Now()
	var errs []error
	for _, t := range tellings {
		if told {
			errs = append(errs, w.deps.Tellings.FinishTelling(ctx, t, now, now.Add(w.cfg.Again)))
			continue
		}
		wait := min(w.cfg.RetryMin<<min(tries, 16), w.cfg.RetryMax) // promise 7
		errs = append(errs, w.deps.Tellings.FailTelling(ctx, t, now.Add(wait)))
	}
	return errors.Join(errs...)
}

// Check says what is wrong with a recipient's channel, by field; empty when nothing is.
func (w *Worker) Check(r *configv1.NoticeRecipient) (field, problem string) { return w.cfg.Check(r) }

// Test sends a message that says it is a test.
func (w *Worker) Test(ctx context.Context, ws *configv1.Workspace, recipient *configv1.NoticeRecipient) error {
	return w.send(ctx, ws, recipient, nil)
}

func (w *Worker) send(ctx context.Context, ws *configv1.Workspace, to *configv1.NoticeRecipient, due []*configv1.Notice) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	a := about{workspace: ws.GetId(), name: ws.GetName(), language: cmp.Or(to.GetLanguage(), ws.GetLanguage(), english), consoleURL: w.cfg.ConsoleURL}
	return w.sender.send(ctx, to, a, compose(a, due))
}

// Message is the notice of a row, with how many writes wait for its connection.
func (w *Worker) Message(ctx context.Context, row store.Notice) (*configv1.Notice, error) {
	n := &configv1.Notice{}
	if err := proto.Unmarshal(row.Body, n); err != nil {
		return nil, err
	}
	n.BeganAt, n.QuietBy = timestamppb.New(row.BeganAt), row.QuietBy
	for at, field := range map[time.Time]**timestamppb.Timestamp{row.EndedAt: &n.EndedAt, row.QuietUntil: &n.QuietUntil, row.ToldAt: &n.ToldAt} {
		if !at.IsZero() {
			*field = timestamppb.New(at)
		}
	}
	if n.GetKind() != configv1.NoticeKind_NOTICE_KIND_CONNECTION || !row.EndedAt.IsZero() {
		return n, nil
	}
	return n, w.countParked(ctx, n)
}
