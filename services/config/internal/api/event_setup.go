package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/eventsetup"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// maxFormer is how many registration objects of earlier versions are known (promise 7).
const maxFormer = 20

// EventSetup implements configv1.EventSetupServiceServer. What is said of Server holds here too.
type EventSetup struct {
	configv1.UnimplementedEventSetupServiceServer
	docs *Server
}

// NewEventSetup returns a server.
func NewEventSetup(docs *Server) *EventSetup { return &EventSetup{docs: docs} }

// CheckEventSetup implements configv1.EventSetupServiceServer.
func (e *EventSetup) CheckEventSetup(ctx context.Context, req *configv1.CheckEventSetupRequest) (*configv1.CheckEventSetupResponse, error) {
	setup := req.GetSetup()
	if err := e.docs.requireWorkspace(ctx, setup.GetWorkspace()); err != nil {
		return nil, err
	}
	problems := eventsetup.Gaps(setup)
	if req.GetAskOrg() {
		unfit, err := e.fit(ctx, setup, problems)
		if err != nil {
			return nil, err
		}
		problems = append(problems, unfit...)
	}
	return &configv1.CheckEventSetupResponse{
		Screens: eventsetup.Reports(setup, problems), On: eventsetup.On(setup), Notices: eventsetup.Notices(setup),
	}, nil
}

// fit asks the org what it lacks of what a set-up asks for.
func (e *EventSetup) fit(ctx context.Context, setup *configv1.EventSetup, gaps []eventsetup.Problem) ([]eventsetup.Problem, error) {
	if eventsetup.Empty(setup) || setup.GetConnection() == "" {
		return nil, nil
	}
	c := &configv1.Connection{Workspace: setup.GetWorkspace(), Id: setup.GetConnection()}
	_, err := e.docs.load(ctx, connectionKey(c), c)
	if errors.Is(err, store.ErrNotFound) {
		return []eventsetup.Problem{{
			Screen: configv1.EventScreen_EVENT_SCREEN_FINISH, Field: "connection", Description: "the workspace has no connection " + c.GetId(),
		}}, nil
	}
	if err != nil {
		return nil, err
	}
	return eventsetup.Fit(setup, gaps, e.describe(ctx, c))
}

func (e *EventSetup) describe(ctx context.Context, c *configv1.Connection) eventsetup.Describe {
	return func(object string) (*configv1.DescribedObject, error) {
		described, err := e.docs.deps.Catalogue.Object(ctx, c, object)
		if err == nil && described.Old != nil { // an org that cannot be asked now confirms nothing
			err = status.Errorf(codes.Unavailable, "the org of connection %q could not be asked about %s: try again when the connection is in order", c.GetId(), object)
		}
		return described.Object, err
	}
}

// learn notes what the org said of the export's fields, and makes sure that mapping can run what comes of it.
func (e *EventSetup) learn(ctx context.Context, next *configv1.EventSetup) error {
	c := &configv1.Connection{Workspace: next.GetWorkspace(), Id: next.GetConnection()}
	if export := next.GetExport(); export != nil {
		if _, err := e.docs.load(ctx, connectionKey(c), c); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if err := eventsetup.Learn(next, e.describe(ctx, c)); err != nil {
		return err
	}
	export := eventsetup.Export(next)
	if !export.GetEnabled() {
		return nil
	}
	var v violations
	if _, err := integration.Compile(export); err != nil {
		v.add("setup.export", "%v", err)
	}
	return v.err()
}

// PutEventSetup implements configv1.EventSetupServiceServer. Flows are switched on together or not at all: they are one version.
func (e *EventSetup) PutEventSetup(ctx context.Context, req *configv1.PutEventSetupRequest) (*configv1.PutEventSetupResponse, error) {
	next := proto.CloneOf(req.GetSetup())
	if err := e.docs.requireWorkspace(ctx, next.GetWorkspace()); err != nil {
		return nil, err
	}
	problems := eventsetup.Gaps(next)
	unfit, err := e.fit(ctx, next, problems)
	if err != nil {
		return nil, err
	}
	var v violations
	for _, p := range append(problems, unfit...) {
		v.add("setup."+p.Field, "%s", p.Description)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	if err := e.learn(ctx, next); err != nil {
		return nil, err
	}
	if err := e.follow(ctx, next); err != nil {
		return nil, err
	}
	expected := next.GetVersion()
	next.Version = expected + 1
	if err := e.docs.save(ctx, eventSetupKey(next.GetWorkspace()), expected, next, nil); err != nil {
		return nil, err
	}
	return &configv1.PutEventSetupResponse{Setup: next, On: eventsetup.On(next), Notices: eventsetup.Notices(next)}, nil
}

// follow puts a version after the one it replaces: it counts from now on, never from before that one, and knows which
// registration objects there were (HOPIN-8).
func (e *EventSetup) follow(ctx context.Context, next *configv1.EventSetup) error {
	now := e.docs.deps.Clock.Now()
	next.EffectiveFrom, next.FormerRegistrations = timestamppb.New(now), nil
	old := &configv1.EventSetup{}
	_, err := e.docs.load(ctx, eventSetupKey(next.GetWorkspace()), old)
	if errors.Is(err, store.ErrNotFound) {
		return nil // saving says so, if there should have been one
	}
	if err != nil {
		return err
	}
	if old.GetEffectiveFrom().AsTime().After(now) {
		next.EffectiveFrom = old.GetEffectiveFrom()
	}
	next.FormerRegistrations = former(old, next)
	return nil
}

// former are the registration objects of earlier versions, but for the one in use, newest first.
func former(old, next *configv1.EventSetup) []*configv1.FormerRegistrations {
	all := old.GetFormerRegistrations()
	if object := old.GetImport().GetRegistrationObject(); object != "" {
		all = append([]*configv1.FormerRegistrations{{
			Object: object, Attendance: old.GetImportedAttendance(), Version: old.GetVersion(), Until: next.GetEffectiveFrom(),
		}}, all...)
	}
	var out []*configv1.FormerRegistrations
	seen := map[string]bool{strings.ToLower(next.GetImport().GetRegistrationObject()): true}
	for _, f := range all {
		if name := strings.ToLower(f.GetObject()); !seen[name] && len(out) < maxFormer {
			seen[name], out = true, append(out, f)
		}
	}
	return out
}

// GetEventSetup implements configv1.EventSetupServiceServer.
func (e *EventSetup) GetEventSetup(ctx context.Context, req *configv1.GetEventSetupRequest) (*configv1.GetEventSetupResponse, error) {
	var v violations
	at := timeOf(&v, "at", req.GetAt())
	if !at.IsZero() && req.GetVersion() != 0 {
		v.add("at", "ask for a version or for a time, not for both")
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	setup := &configv1.EventSetup{}
	key := eventSetupKey(req.GetWorkspace())
	if req.GetVersion() != 0 {
		doc, err := e.docs.deps.Directory.GetVersion(ctx, key, req.GetVersion())
		if err != nil {
			return nil, err
		}
		err = decode(doc, setup)
		return &configv1.GetEventSetupResponse{Setup: setup, On: eventsetup.On(setup)}, err
	}
	_, err := e.docs.load(ctx, key, setup)
	if err == nil && !at.IsZero() {
		setup, err = e.at(ctx, setup, at)
	}
	if err != nil {
		return nil, err
	}
	return &configv1.GetEventSetupResponse{Setup: setup, On: eventsetup.On(setup)}, nil
}

// at goes back from the newest version to the one that was in force at a time.
func (e *EventSetup) at(ctx context.Context, newest *configv1.EventSetup, at time.Time) (*configv1.EventSetup, error) {
	setup := newest
	for setup.GetEffectiveFrom().AsTime().After(at) {
		doc, err := e.docs.deps.Directory.GetVersion(ctx, eventSetupKey(setup.GetWorkspace()), setup.GetVersion()-1)
		if err != nil {
			return nil, err // store.ErrNotFound: there was none yet, or it is too old to be kept
		}
		setup = &configv1.EventSetup{}
		if err := decode(doc, setup); err != nil {
			return nil, err
		}
	}
	return setup, nil
}

func eventSetupKey(workspace string) store.Key {
	return store.Key{Workspace: workspace, Kind: store.KindEventSetup, ID: workspace}
}
