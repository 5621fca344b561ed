package apply

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// contentDefaults are a workspace's defaults by user group. A workspace that has saved none has them empty, of version 0.
type contentDefaults struct {
	document

	service configv1.ContentDefaultsServiceClient
	want    *configv1.ContentDefaults
}

func (*contentDefaults) order() int { return 1 }

func (c *contentDefaults) name() Result {
	return Result{Kind: "ContentDefaults", Workspace: c.want.GetWorkspace(), ID: c.want.GetWorkspace()}
}

func (c *contentDefaults) plan(ctx context.Context) (Result, func(context.Context, *Result) error, error) {
	resp, err := c.service.GetContentDefaults(ctx, &configv1.GetContentDefaultsRequest{Workspace: c.want.GetWorkspace()})
	if _, err := found(err); err != nil {
		return c.name(), nil, err
	}
	want := proto.CloneOf(c.want)
	want.Version = resp.GetDefaults().GetVersion()
	result := compared(c.name(), resp.GetDefaults(), want, want.GetVersion() > 0)
	if result.Action == Unchanged {
		return result, nil, nil
	}
	return result, func(ctx context.Context, _ *Result) error {
		_, err := c.service.PutContentDefaults(ctx, &configv1.PutContentDefaultsRequest{Defaults: want})
		return err
	}, nil
}

// eventSetup is a workspace's set-up of the event flows.
type eventSetup struct {
	document

	service configv1.EventSetupServiceClient
	want    *configv1.EventSetup
}

func (*eventSetup) order() int { return 5 }

func (e *eventSetup) name() Result {
	return Result{Kind: "EventSetup", Workspace: e.want.GetWorkspace(), ID: e.want.GetWorkspace()}
}

// plan leaves out of the comparison what the service finds out.
func (e *eventSetup) plan(ctx context.Context) (Result, func(context.Context, *Result) error, error) {
	resp, err := e.service.GetEventSetup(ctx, &configv1.GetEventSetupRequest{Workspace: e.want.GetWorkspace()})
	exists, err := found(err)
	if err != nil {
		return e.name(), nil, err
	}
	want := proto.CloneOf(e.want)
	want.Version, want.EffectiveFrom = resp.GetSetup().GetVersion(), resp.GetSetup().GetEffectiveFrom()
	want.FormerRegistrations = resp.GetSetup().GetFormerRegistrations()
	if export := want.GetExport(); export != nil {
		was := resp.GetSetup().GetExport()
		export.DescribedLengths, export.RequiredFields, export.DefaultedFields = was.GetDescribedLengths(), was.GetRequiredFields(), was.GetDefaultedFields()
	}
	result := compared(e.name(), resp.GetSetup(), want, exists)
	if result.Action == Unchanged {
		return result, nil, nil
	}
	return result, func(ctx context.Context, r *Result) error {
		saved, err := e.service.PutEventSetup(ctx, &configv1.PutEventSetupRequest{Setup: want})
		r.Notes = append(notices(saved.GetNotices()), flows(saved.GetOn()))
		return err
	}, nil
}

// check adds to a dry run's result what the service would say. An org whose connection is still to be made cannot be asked.
func (e *eventSetup) check(ctx context.Context, r *Result) error {
	resp, err := e.service.CheckEventSetup(ctx, &configv1.CheckEventSetupRequest{Setup: e.want, AskOrg: true})
	if status.Code(err) == codes.NotFound {
		r.Notes = append(r.Notes, "not checked: its workspace is not there yet")
		return nil
	}
	if err != nil {
		return err
	}
	for _, screen := range resp.GetScreens() {
		for _, p := range screen.GetProblems() {
			r.Problems = append(r.Problems, p.GetField()+": "+p.GetDescription())
		}
	}
	r.Notes = append(r.Notes, notices(resp.GetNotices())...)
	return nil
}

func notices(texts []*configv1.EventText) []string {
	var out []string
	for _, text := range texts {
		out = append(out, text.GetEn())
	}
	return out
}

// flows names the flows that are on.
func flows(on []configv1.EventFlow) string {
	if len(on) == 0 {
		return "no flow is on"
	}
	names := make([]string, len(on))
	for n, flow := range on {
		names[n] = strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(flow.String(), "EVENT_FLOW_")), "_", " ")
	}
	return "on: " + strings.Join(names, ", ")
}
