package demo

import (
	"context"
	"fmt"
	"io"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// invite says where to look while everything stays up.
func (e *environment) invite(ctx context.Context) {
	out := e.opts.Out
	fmt.Fprintf(out, "\nLook around; Ctrl-C ends it.\n\n")
	for _, w := range e.traffic.World().Workspaces {
		place(out, w.Org.Name, e.simulator.BaseURL(w.ID))
	}
	place(out, "Console", fmt.Sprintf("http://%s/?token=%s", e.state.Console, e.tokens.admin.Reveal()))
	place(out, "Metrics", fmt.Sprintf("http://%s/metrics", e.state.Admin))
	place(out, "Send events", fmt.Sprintf("http://%s/v1/events", e.state.Ingest))
	if e.state.HTTP != "" {
		place(out, "API", fmt.Sprintf("http://%s/openapi.json", e.state.HTTP))
		fmt.Fprintf(out, "\nAsk the API:\n\n  curl -H \"Authorization: Bearer $(cat %s)\" http://%s/v1/workspaces\n", e.path(adminToken), e.state.HTTP)
	}
	if w := e.traffic.World().Workspaces[0]; e.state.Connect != "" {
		fmt.Fprintf(out, "\nConnect an org by a login in the browser:\n\n  bin/throughline connect --dir %s --workspace %s by-hand --login-url %s\n",
			e.opts.Dir, w.ID, e.simulator.BaseURL(w.ID))
	}
	if workspace, event := e.sample(ctx); event != "" {
		fmt.Fprintf(out, "\nThe way of one event:\n\n  bin/throughline trace --dir %s --workspace %s %s\n  http://%s/workspaces/%s/events/%s\n\n",
			e.opts.Dir, workspace, event, e.state.Console, workspace, event)
	}
}

// place prints where something is found.
func place(w io.Writer, name, where string) { fmt.Fprintf(w, "  %s %s\n", screen.Pad(name, 16), where) }

// sample finds an event that became a record, for people to follow.
func (e *environment) sample(ctx context.Context) (workspace, event string) {
	for _, w := range e.traffic.World().Workspaces {
		answer, err := e.config.ListOutcomes(ctx, &configv1.ListOutcomesRequest{
			Workspace: w.ID, Status: streamv1.Status_STATUS_WRITTEN, PageSize: 50,
		})
		if err != nil {
			continue
		}
		for _, o := range answer.GetOutcomes() {
			if o.GetObject() == "Task" && o.GetEventId() != "" {
				return w.ID, o.GetEventId()
			}
		}
	}
	return "", ""
}
