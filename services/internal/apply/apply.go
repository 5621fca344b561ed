package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Action is what became of a document.
type Action string

// The actions.
const (
	Created   Action = "created"
	Updated   Action = "updated"
	Unchanged Action = "unchanged"
)

// Result is what became of one document.
type Result struct {
	Kind, Workspace, ID string
	Action              Action
	// Changes are the differences, "path: before → after", without secrets.
	Changes []string
	// Notes are what the service said of what was saved, for confirmation.
	Notes []string
	// Problems are why the service would refuse to save; of a dry run only.
	Problems []string
	// Secret is a new API key's, shown this once.
	Secret secret.String
}

// Options is what a user chooses.
type Options struct {
	// DryRun only compares. Whether secrets differ is not known then, because they can only be written.
	DryRun bool
	// Check, if set, tells in a dry run what would become of an integration that differs.
	Check Check
	// Reports keeps reports and their pushes; without it they cannot be applied.
	Reports configv1.ReportServiceClient
}

// Check asks the service whether it would save an integration.
type Check func(ctx context.Context, i *configv1.Integration) (*configv1.ValidateIntegrationResponse, error)

// attempts bounds how often one document is tried again when somebody else saves at the same time.
const attempts = 5

// Run applies the documents: workspaces first, then connections, integrations, content settings, API keys, reports and their pushes. It stops at
// the first document that fails; the report then holds what was done before. A dry run goes through all of them, and fails if
// one would be refused.
func Run(ctx context.Context, client configv1.ConfigServiceClient, docs []Document, opts Options) (Report, error) {
	var report Report
	a := &applier{client: client, opts: opts, contents: contents{}}
	targets := make([]target, len(docs))
	for i, doc := range docs {
		t, err := a.target(doc)
		if err != nil {
			return report, err
		}
		targets[i] = t
	}
	slices.SortStableFunc(targets, func(x, y target) int { return cmp.Compare(x.order(), y.order()) })
	for _, t := range targets {
		result, err := a.apply(ctx, t)
		if err != nil {
			return report, fmt.Errorf("%s: %s: %w", t.source(), describe(t), explain(err))
		}
		report.Results = append(report.Results, result)
	}
	return report, report.refused()
}

// target is one setting with how to read, compare and save it.
type target interface {
	source() string
	order() int
	name() Result
	// plan reads what is there and decides. save is nil when there is nothing to do; it fills in what only saving tells.
	plan(ctx context.Context) (result Result, save func(context.Context, *Result) error, err error)
}

type applier struct {
	client   configv1.ConfigServiceClient
	opts     Options
	contents contents
}

func (a *applier) target(doc Document) (target, error) {
	if t, err := a.reportTarget(doc); t != nil || err != nil {
		return t, err
	}
	base := document{from: doc.Source, client: a.client}
	switch s := doc.Setting.(type) {
	case *configv1.Workspace:
		return &workspace{base, s}, nil
	case *configv1.Connection:
		return &connection{base, s}, nil
	case *configv1.Integration:
		return &integration{base, s}, nil
	case *configv1.ContentSetting:
		return &content{base, s, a.contents}, nil
	case *configv1.ApiKey:
		return &apiKey{base, s}, nil
	}
	return nil, fmt.Errorf("%s: %T is not a setting", doc.Source, doc.Setting)
}

func (a *applier) apply(ctx context.Context, t target) (Result, error) {
	for attempt := 1; ; attempt++ {
		result, save, err := t.plan(ctx)
		if err != nil || save == nil {
			return result, err
		}
		if a.opts.DryRun {
			return result, a.check(ctx, t, &result)
		}
		err = save(ctx, &result)
		if status.Code(err) != codes.Aborted || attempt == attempts {
			return result, err
		}
	}
}

// check adds to a dry run's result what the service would say. An integration whose connection is still to be made, by the
// same files perhaps, cannot be checked yet.
func (a *applier) check(ctx context.Context, t target, r *Result) error {
	if p, ok := t.(*push); ok {
		return p.check(ctx, r)
	}
	i, ok := t.(*integration)
	if !ok || a.opts.Check == nil || !i.want.GetEnabled() { // what is switched off is not checked when it is saved either
		return nil
	}
	_, err := a.client.GetConnection(ctx,
		&configv1.GetConnectionRequest{Workspace: i.want.GetWorkspace(), Connection: i.want.GetConnection()})
	if exists, err := found(err); err != nil || !exists {
		r.Notes = append(r.Notes, "not checked against its org: its connection is not there yet")
		return err
	}
	answer, err := a.opts.Check(ctx, i.want)
	if err != nil {
		return err
	}
	r.Notes = append(r.Notes, answer.GetNotes()...)
	for _, p := range answer.GetProblems() {
		r.Problems = append(r.Problems, p.GetField()+": "+p.GetDescription())
	}
	return nil
}

func describe(t target) string {
	r := t.name()
	if r.Kind == "Workspace" {
		return r.Kind + " " + r.ID
	}
	return r.Kind + " " + r.Workspace + "/" + r.ID
}

// explain puts a refusal of the config service into one line per field.
func explain(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, detail := range s.Details() {
		bad, ok := detail.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		lines := make([]string, len(bad.GetFieldViolations()))
		for i, v := range bad.GetFieldViolations() {
			lines[i] = "\n  " + v.GetField() + ": " + v.GetDescription()
		}
		return errors.New("refused:" + strings.Join(lines, ""))
	}
	return fmt.Errorf("%s: %s", s.Code(), s.Message())
}
