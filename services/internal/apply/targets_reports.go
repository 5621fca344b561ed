package apply

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// errNoReports is what a program says that was not given Options.Reports.
var errNoReports = errors.New("reports and their pushes cannot be applied here")

// reportTarget makes targets of reports and their pushes, nil for other settings.
func (a *applier) reportTarget(doc Document) (target, error) {
	base := reporting{document{from: doc.Source, client: a.client}, a.opts.Reports}
	var out target
	switch s := doc.Setting.(type) {
	case *configv1.Report:
		out = &report{base, s}
	case *configv1.ReportPush:
		out = &push{base, s}
	default:
		return nil, nil
	}
	if a.opts.Reports == nil {
		return nil, fmt.Errorf("%s: %w", doc.Source, errNoReports)
	}
	return out, nil
}

type reporting struct {
	document
	reports configv1.ReportServiceClient
}

// find reads a report: there is no call that reads one.
func (r reporting) find(ctx context.Context, workspace, id string) (*configv1.Report, error) {
	resp, err := r.reports.ListReports(ctx, &configv1.ListReportsRequest{Workspace: workspace})
	if status.Code(err) == codes.NotFound { // a workspace that is yet to be made
		return nil, nil
	}
	for _, one := range resp.GetReports() {
		if one.GetId() == id {
			return one, nil
		}
	}
	return nil, err
}

type report struct {
	reporting
	want *configv1.Report
}

func (*report) order() int { return 5 }

func (r *report) name() Result {
	return Result{Kind: "Report", Workspace: r.want.GetWorkspace(), ID: r.want.GetId()}
}

func (r *report) plan(ctx context.Context) (Result, func(context.Context, *Result) error, error) {
	current, err := r.find(ctx, r.want.GetWorkspace(), r.want.GetId())
	if err != nil {
		return r.name(), nil, err
	}
	want := proto.CloneOf(r.want)
	want.Version = current.GetVersion()
	result := compared(r.name(), current, want, current != nil)
	if result.Action == Unchanged {
		return result, nil, nil
	}
	return result, func(ctx context.Context, result *Result) error {
		saved, err := r.reports.PutReport(ctx, &configv1.PutReportRequest{Report: want})
		result.Notes = saved.GetBroken()
		return err
	}, nil
}

type push struct {
	reporting
	want *configv1.ReportPush
}

func (*push) order() int { return 6 }

func (p *push) name() Result {
	return Result{Kind: "ReportPush", Workspace: p.want.GetWorkspace(), ID: p.want.GetId()}
}

// plan leaves out of the comparison what the service says, and the name that it gives when the file has none.
func (p *push) plan(ctx context.Context) (Result, func(context.Context, *Result) error, error) {
	resp, err := p.reports.GetReportPush(ctx, &configv1.GetReportPushRequest{Workspace: p.want.GetWorkspace(), Push: p.want.GetId()})
	exists, err := found(err)
	if err != nil {
		return p.name(), nil, err
	}
	current, want := resp.GetPush(), proto.CloneOf(p.want)
	want.Version, want.PausedBecause, want.NextRunAt = current.GetVersion(), current.GetPausedBecause(), current.GetNextRunAt()
	if want.GetName() == "" {
		want.Name = current.GetName()
	}
	result := compared(p.name(), current, want, exists)
	if result.Action == Unchanged {
		return result, nil, nil
	}
	return result, func(ctx context.Context, result *Result) error {
		saved, err := p.reports.PutReportPush(ctx, &configv1.PutReportPushRequest{Push: want})
		result.Notes = saved.GetWarnings()
		return err
	}, nil
}

// check tells in a dry run what saving would say.
func (p *push) check(ctx context.Context, r *Result) error {
	if !p.want.GetEnabled() {
		return nil
	}
	there, err := p.find(ctx, p.want.GetWorkspace(), p.want.GetReport())
	if err != nil {
		return err
	}
	if there == nil {
		r.Notes = append(r.Notes, "not checked: its report is not there yet")
		return nil
	}
	resp, err := p.reports.PutReportPush(ctx, &configv1.PutReportPushRequest{Push: p.want, ValidateOnly: true})
	r.Notes = append(r.Notes, resp.GetWarnings()...)
	if status.Code(err) != codes.InvalidArgument {
		return err
	}
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				r.Problems = append(r.Problems, v.GetField()+": "+v.GetDescription())
			}
		}
	}
	return nil
}
