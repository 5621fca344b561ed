package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newIntegrations() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "integrations",
		GroupID: "look",
		Short:   "What applies to a content, copies of it, its end; what integrations were before, and back to it",
	}
	cmd.AddCommand(newIntegrationsOf(), newIntegrationsCopy(), newIntegrationsDelete(), newIntegrationsForget(), newHistory(), newDiff(), newRollback())
	return cmd
}

func newHistory() *cobra.Command {
	var c call
	var limit int32
	cmd := &cobra.Command{
		Use:   "history <integration>",
		Short: "Who saved which version when and why, newest first",
		Example: `  throughline integrations history --workspace acme follow-up
  throughline integrations history --workspace acme follow-up --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewIntegrationHistoryServiceClient(conn).ListIntegrationVersions(ctx,
					&configv1.ListIntegrationVersionsRequest{Workspace: c.workspace, Integration: args[0], PageSize: limit})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetVersions())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "version", "saved", "by", "why", "changed")
				for _, v := range resp.GetVersions() {
					t.AppendRow(screen.Row{
						v.GetVersion(), v.GetSavedAt().AsTime().Format(time.DateTime), v.GetSavedBy(), v.GetReason(), strings.Join(v.GetChanged(), "\n"),
					})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().Int32Var(&limit, "limit", 20, "how many at most, up to 1000")
	return cmd
}

func newDiff() *cobra.Command {
	var c call
	var from, to int64
	cmd := &cobra.Command{
		Use:   "diff <integration>",
		Short: "What differs between two versions, field by field",
		Example: `  throughline integrations diff --workspace acme follow-up --from 3
  throughline integrations diff --workspace acme follow-up --from 3 --to 5`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewIntegrationHistoryServiceClient(conn).DiffIntegrationVersions(ctx,
					&configv1.DiffIntegrationVersionsRequest{Workspace: c.workspace, Integration: args[0], FromVersion: from, ToVersion: to})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetChanges())
				}
				out := cmd.OutOrStdout()
				fmt.Fprintf(out, "version %d → version %d: %d fields differ\n", from, resp.GetToVersion(), len(resp.GetChanges()))
				for _, change := range resp.GetChanges() {
					fmt.Fprintf(out, "  %s\n", changeLine(change))
				}
				return nil
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().Int64Var(&from, "from", 0, "the version to compare from")
	cmd.Flags().Int64Var(&to, "to", 0, "the version to compare to; default: the newest")
	if err := cmd.MarkFlagRequired("from"); err != nil {
		panic(err)
	}
	return cmd
}

func newRollback() *cobra.Command {
	var c call
	var to, expected int64
	cmd := &cobra.Command{
		Use:   "rollback <integration>",
		Short: "Save the content of an earlier version as a new one",
		Long: `The earlier version is checked like any other: one that no longer validates is refused, with what is wrong. Events from before
the rollback keep the version of their time. With --expect it is refused if somebody saved since.`,
		Example: `  throughline integrations rollback --workspace acme follow-up --to 3 --why "the campaign is over"
  throughline integrations rollback --workspace acme follow-up --to 3 --expect 5`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				if expected == 0 {
					newest, err := configv1.NewConfigServiceClient(conn).GetIntegration(ctx,
						&configv1.GetIntegrationRequest{Workspace: c.workspace, Integration: args[0]})
					if err != nil {
						return err
					}
					expected = newest.GetIntegration().GetVersion()
				}
				resp, err := configv1.NewIntegrationHistoryServiceClient(conn).RollBackIntegration(ctx, &configv1.RollBackIntegrationRequest{
					Workspace: c.workspace, Integration: args[0], ToVersion: to, ExpectedVersion: expected, Reason: c.why,
				})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "version %d has the content of version %d\n", resp.GetIntegration().GetVersion(), to)
				for _, note := range resp.GetNotes() {
					fmt.Fprintf(cmd.OutOrStdout(), "  note: %s\n", note)
				}
				return nil
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().Int64Var(&to, "to", 0, "the version to go back to")
	cmd.Flags().Int64Var(&expected, "expect", 0, "the newest version that was looked at; default: whatever is the newest now")
	if err := cmd.MarkFlagRequired("to"); err != nil {
		panic(err)
	}
	return cmd
}
