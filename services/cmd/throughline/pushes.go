package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newPushes() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pushes",
		GroupID: "look",
		Short:   "What brings reports into Salesforce every day: list, switch, copy, run now",
		Long: `A push brings the rows of a report into the records of an object that have the same key, every day at 09:00 UTC. It is
written as a document of kind ReportPush and saved with "throughline apply -f"; see docs/reports.md.`,
	}
	cmd.AddCommand(newPushesList(), newPushesObjects(), newPushesFields(), newPushesSwitch(false), newPushesSwitch(true), newPushesCopy(),
		newPushesRun(), newPushesDelete())
	return cmd
}

func newPushesList() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The pushes of a workspace, and when they run next",
		Example: `  throughline pushes list --workspace acme
  throughline pushes list --workspace acme --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewReportServiceClient(conn).ListReportPushes(ctx, &configv1.ListReportPushesRequest{Workspace: c.workspace})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetPushes())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "id", "report", "object", "connection", "state", "next run (UTC)")
				for _, p := range resp.GetPushes() {
					state, next := "active", ""
					if !p.GetEnabled() {
						state = "paused"
					}
					if why := p.GetPausedBecause(); why != "" {
						state += ": " + why
					}
					if p.GetNextRunAt() != nil {
						next = p.GetNextRunAt().AsTime().Format(time.DateTime)
					}
					t.AppendRow(screen.Row{p.GetId(), p.GetReport(), p.GetObject(), p.GetConnection(), state, next})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func newPushesObjects() *cobra.Command {
	var c call
	req := &configv1.ListPushObjectsRequest{}
	var hidden bool
	cmd := &cobra.Command{
		Use:   "objects",
		Short: "The objects of an org that reports can be pushed into",
		Example: `  throughline pushes objects --workspace acme --connection main --search account
  throughline pushes objects --workspace acme --connection main --hidden`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req.Workspace = c.workspace
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewReportServiceClient(conn).ListPushObjects(ctx, req)
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				return printPushObjects(cmd, resp, hidden)
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVar(&req.Connection, "connection", "", "the connection")
	cmd.Flags().StringVar(&req.Search, "search", "", "only objects whose name or label contains this")
	cmd.Flags().BoolVar(&hidden, "hidden", false, "show the others, and why they are not offered")
	required(cmd, "connection")
	return cmd
}

func printPushObjects(cmd *cobra.Command, resp *configv1.ListPushObjectsResponse, hidden bool) error {
	out := cmd.OutOrStdout()
	if hidden {
		t := screen.NewTable(out, "object", "label", "not offered because")
		for _, o := range resp.GetHidden() {
			t.AppendRow(screen.Row{o.GetName(), o.GetLabel(), o.GetWhy()})
		}
		t.Render()
		return nil
	}
	t := screen.NewTable(out, "object", "label")
	for _, o := range resp.GetObjects() {
		t.AppendRow(screen.Row{o.GetName(), o.GetLabel()})
	}
	t.Render()
	_, err := fmt.Fprintf(out, "%d more are not offered; --hidden says why\n", len(resp.GetHidden()))
	return err
}

func newPushesFields() *cobra.Command {
	var c call
	req := &configv1.ListPushFieldsRequest{}
	cmd := &cobra.Command{
		Use:     "fields <object>",
		Short:   "Which fields of an object can hold the key, and which can be filled",
		Example: `  throughline pushes fields --workspace acme --connection main Contact`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Workspace, req.Object = c.workspace, args[0]
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewReportServiceClient(conn).ListPushFields(ctx, req)
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				t := screen.NewTable(cmd.OutOrStdout(), "use", "field", "label", "type", "unique")
				for _, f := range resp.GetKeys() {
					t.AppendRow(screen.Row{"key", f.GetName(), f.GetLabel(), f.GetType(), f.GetUnique()})
				}
				for _, f := range resp.GetTargets() {
					t.AppendRow(screen.Row{"target", f.GetName(), f.GetLabel(), f.GetType(), f.GetUnique()})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVar(&req.Connection, "connection", "", "the connection")
	required(cmd, "connection")
	return cmd
}

// newPushesSwitch is pause and resume.
func newPushesSwitch(on bool) *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:   "pause <id>",
		Short: "Switch a push off; a run under way stops after its current chunk",
		Example: `  throughline pushes pause --workspace acme scores --why "the org is being cleaned up"
  throughline pushes resume --workspace acme scores`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				client := configv1.NewReportServiceClient(conn)
				got, err := client.GetReportPush(ctx, &configv1.GetReportPushRequest{Workspace: c.workspace, Push: args[0]})
				if err != nil {
					return err
				}
				push := got.GetPush()
				if push.GetEnabled() == on {
					return printPush(cmd, push, nil, c.asJSON)
				}
				push.Enabled = on
				saved, err := client.PutReportPush(ctx, &configv1.PutReportPushRequest{Push: push})
				if err != nil {
					return err
				}
				return printPush(cmd, saved.GetPush(), saved.GetWarnings(), c.asJSON)
			})
		},
	}
	if on {
		cmd.Use, cmd.Short = "resume <id>", "Switch a push on, if it fits its report and its org"
	}
	c.changing(cmd)
	return cmd
}

func printPush(cmd *cobra.Command, push *configv1.ReportPush, warnings []string, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		return printJSON(out, push)
	}
	state := "paused"
	if push.GetEnabled() {
		state = "active, next run " + push.GetNextRunAt().AsTime().Format(time.DateTime) + " UTC"
	}
	fmt.Fprintf(out, "push %s of %s is %s (version %d)\n", push.GetId(), push.GetWorkspace(), state, push.GetVersion())
	for _, w := range warnings {
		fmt.Fprintf(out, "note: %s\n", w)
	}
	return nil
}

func newPushesCopy() *cobra.Command {
	var c call
	var to, connection string
	cmd := &cobra.Command{
		Use:   "copy <id>",
		Short: "Copy a push, also towards another org, switched off",
		Long: `The copy is saved switched off, and what does not fit the other org is listed. It can be switched on when nothing is left of that
list: "throughline pushes resume".`,
		Example: `  throughline pushes copy --workspace acme scores --to scores-production --connection production`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				client := configv1.NewReportServiceClient(conn)
				got, err := client.GetReportPush(ctx, &configv1.GetReportPushRequest{Workspace: c.workspace, Push: args[0]})
				if err != nil {
					return err
				}
				push := got.GetPush()
				push.Id, push.Version, push.Enabled = to, 0, false
				if connection != "" {
					push.Connection = connection
				}
				saved, err := client.PutReportPush(ctx, &configv1.PutReportPushRequest{Push: push})
				if err != nil {
					return err
				}
				return printPush(cmd, saved.GetPush(), saved.GetWarnings(), c.asJSON)
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().StringVar(&to, "to", "", "id of the copy")
	cmd.Flags().StringVar(&connection, "connection", "", "the connection that the copy writes through; default: the same")
	required(cmd, "to")
	return cmd
}

func newPushesRun() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "run <id>",
		Short:   "Start a run now, besides the day's",
		Example: `  throughline pushes run --workspace acme scores`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewReportRunServiceClient(conn).StartReportRun(ctx, &configv1.StartReportRunRequest{Workspace: c.workspace, Push: args[0]})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp.GetRun())
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "run %s is under way; see it with: throughline runs show --workspace %s %s\n",
					resp.GetRun().GetId(), c.workspace, resp.GetRun().GetId())
				return err
			})
		},
	}
	c.changing(cmd)
	return cmd
}

func newPushesDelete() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "delete <id>",
		Short:   "End a push; the log of its runs stays",
		Example: `  throughline pushes delete --workspace acme scores --why "not needed any more"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				client := configv1.NewReportServiceClient(conn)
				got, err := client.GetReportPush(ctx, &configv1.GetReportPushRequest{Workspace: c.workspace, Push: args[0]})
				if err != nil {
					return err
				}
				_, err = client.DeleteReportPush(ctx, &configv1.DeleteReportPushRequest{
					Workspace: c.workspace, Push: args[0], Version: got.GetPush().GetVersion(),
				})
				if err == nil {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "push %s of %s is gone\n", args[0], c.workspace)
				}
				return err
			})
		},
	}
	c.changing(cmd)
	return cmd
}

// required marks flags that a command cannot do without.
func required(cmd *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := cmd.MarkFlagRequired(flag); err != nil {
			panic(err)
		}
	}
}
