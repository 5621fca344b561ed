package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/plan"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newPlans() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "plans",
		GroupID: "look",
		Short:   "What a workspace has subscribed to, and what that entitles it to",
	}
	cmd.AddCommand(newPlansShow(), newPlansSet())
	return cmd
}

func newPlansShow() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Which sources a workspace may connect with Salesforce, and which plans that takes",
		Example: `  throughline plans show --workspace acme`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewPlanServiceClient(conn).GetEntitlements(ctx, &configv1.GetEntitlementsRequest{Workspace: c.workspace})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetEntitlements())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "source", "plan", "Salesforce integration", "changes", "connections")
				for _, e := range resp.GetEntitlements() {
					t.AppendRow(screen.Row{plan.Name(e.GetSource()), e.GetPlan(), planText(e), stamp(e.GetChangesAt()), strings.Join(e.GetConnections(), ", ")})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

// planText says in a few words what a plan says.
func planText(e *configv1.Entitlement) string {
	switch {
	case e.GetEntitled():
		return "included"
	case e.GetKeptUntil() == nil:
		return ""
	}
	return fmt.Sprintf("not included: takes %s; kept until %s", strings.Join(e.GetNeeded(), " or "), e.GetKeptUntil().AsTime().Format(time.DateOnly))
}

func newPlansSet() *cobra.Command {
	var c call
	var p configv1.Plan
	var from string
	cmd := &cobra.Command{
		Use:   "set <source> <plan>",
		Short: "Record a workspace's plan of a source, for the platform",
		Long: `Records which plan a workspace has of a source from a time on: video, document, phone, usage or events. What was recorded for
that time or later is replaced. Only a caller of all workspaces may do it. Which plans include which source is
config.plans of the installation.`,
		Example: `  throughline plans set --workspace acme video enterprise
  throughline plans set --workspace acme video trial --counts-as enterprise
  throughline plans set --workspace acme video business --from 2027-04-01T00:00:00+09:00   # a downgrade at a time
  throughline plans set --workspace acme events ""                                         # no plan any more`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, ok := configv1.SourceKind_value["SOURCE_KIND_"+strings.ToUpper(args[0])]
			if !ok || source == 0 {
				return fmt.Errorf("there is no source %q; there are video, document, phone, usage, events", args[0])
			}
			p.Source, p.Name = configv1.SourceKind(source), args[1]
			if from != "" {
				at, err := time.Parse(time.RFC3339, from)
				if err != nil {
					return fmt.Errorf("--from: %q is not a time such as 2027-04-01T00:00:00+09:00", from)
				}
				p.EffectiveFrom = timestamppb.New(at)
			}
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewPlanServiceClient(conn).SetPlan(ctx, &configv1.SetPlanRequest{Workspace: c.workspace, Plan: &p})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetPlans())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "source", "plan", "counts as", "from")
				for _, p := range resp.GetPlans() {
					t.AppendRow(screen.Row{plan.Name(p.GetSource()), p.GetName(), p.GetCountsAs(), stamp(p.GetEffectiveFrom())})
				}
				t.Render()
				return nil
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().StringVar(&p.CountsAs, "counts-as", "", "the `plan` that a trial counts as")
	cmd.Flags().StringVar(&from, "from", "", "from when; default: now")
	return cmd
}
