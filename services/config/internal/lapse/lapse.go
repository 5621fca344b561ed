package lapse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// Actor is who ends connections here.
const Actor = "plan"

// Documents keeps settings.
type Documents interface {
	Workspaces(ctx context.Context) ([]store.Document, error)
	List(ctx context.Context, workspace string, kind store.Kind) ([]store.Document, error)
}

// Disconnector ends connections; see lifecycle.Disconnector.
type Disconnector interface {
	Disconnect(ctx context.Context, key lifecycle.Key, by store.Act, forgetApp bool) (bool, error)
}

// Ender ends connections. Safe for concurrent use, also by several replicas.
type Ender struct {
	Rules        plan.Rules
	Documents    Documents
	Disconnector Disconnector
	Logger       *slog.Logger
}

// End ends every connection that has not been included for Rules.Keep at now. What fails is tried again the next time, and
// keeps nothing from the others (promise 6).
func (e *Ender) End(ctx context.Context, now time.Time) error {
	if e.Rules.EnforceFrom.IsZero() {
		return nil
	}
	docs, err := e.Documents.Workspaces(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, doc := range docs {
		if err := e.endOf(ctx, doc, now); err != nil {
			errs = append(errs, fmt.Errorf("end what the plan of workspace %s does not include: %w", doc.Workspace, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Ender) endOf(ctx context.Context, doc store.Document, now time.Time) error {
	ws := &configv1.Workspace{}
	if err := proto.Unmarshal(doc.Body, ws); err != nil {
		return err
	}
	lapses := e.Rules.Lapses(ws.GetPlans())
	if plan.Lapsed(lapses, now) == nil {
		return nil
	}
	connections, err := e.Documents.List(ctx, doc.Workspace, store.KindConnection)
	if err != nil {
		return err
	}
	var errs []error
	for _, doc := range connections {
		errs = append(errs, e.endOne(ctx, doc, lapses, now))
	}
	return errors.Join(errs...)
}

func (e *Ender) endOne(ctx context.Context, doc store.Document, lapses []*configv1.Lapse, now time.Time) error {
	c := &configv1.Connection{}
	if err := proto.Unmarshal(doc.Body, c); err != nil {
		return fmt.Errorf("connection %s: %w", doc.ID, err)
	}
	source := plan.OfProduct(c.GetSettings().GetSource())
	lapse := plan.Lapsed(e.Rules.ForConnection(lapses, source), now)
	if c.GetGrant() == nil || lapse == nil || now.Sub(lapse.GetFrom().AsTime()) < e.Rules.Keep {
		return nil // without a grant there is nothing left to erase
	}
	by := store.Act{Actor: Actor, Role: string(auth.RoleService), Action: "EndLapsed"}
	if _, err := e.Disconnector.Disconnect(ctx, lifecycle.Key{Workspace: doc.Workspace, Connection: doc.ID}, by, true); err != nil {
		return fmt.Errorf("connection %s: %w", doc.ID, err)
	}
	e.Logger.InfoContext(ctx, "a connection was disconnected and its secrets erased: the workspace's plan has not included it for long",
		"workspace", doc.Workspace, "connection", doc.ID, "source", plan.Name(source), "since", lapse.GetFrom().AsTime())
	return nil
}
