package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newIntegrationsOf() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "of <content>",
		Short:   "The integrations that apply to a content, in their order, with their actions",
		Example: `  throughline integrations of --workspace acme offer-2026`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewWorkflowServiceClient(conn).ListWorkflows(ctx,
					&configv1.ListWorkflowsRequest{Workspace: c.workspace, ContentId: args[0]})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				t := screen.NewTable(cmd.OutOrStdout(), "integration", "for", "trigger", "on", "actions")
				for _, i := range resp.GetOwn() {
					t.AppendRow(workflowRow(i, "this content"))
				}
				for _, i := range resp.GetGeneral() {
					t.AppendRow(workflowRow(i, "all contents"))
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func workflowRow(i *configv1.Integration, scope string) screen.Row {
	var actions []string
	for _, a := range i.GetActions() {
		action := a.GetName() + ": " + a.GetObject()
		if a.GetDisabled() {
			action += " (off)"
		}
		actions = append(actions, action)
	}
	return screen.Row{i.GetId(), scope, name(i.GetTrigger(), "TRIGGER_"), onOff(i.GetEnabled()), strings.Join(actions, "\n")}
}

func newIntegrationsCopy() *cobra.Command {
	var c call
	var title string
	var contents []string
	cmd := &cobra.Command{
		Use:   "copy <integration> <new-id>",
		Short: "Let an integration's actions apply to other contents, too, as an integration of its own",
		Example: `  throughline integrations copy --workspace acme follow-up follow-up-2027 --content offer-2027
  throughline integrations copy --workspace acme follow-up b-side --content b1 --content b2 --name "B side"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewWorkflowServiceClient(conn).CopyIntegration(ctx, &configv1.CopyIntegrationRequest{
					Workspace: c.workspace, Integration: args[0], NewId: args[1], Name: title, ContentIds: contents,
				})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s applies to %s\n", resp.GetIntegration().GetId(), strings.Join(contents, ", "))
				for _, note := range resp.GetNotes() {
					fmt.Fprintf(cmd.OutOrStdout(), "  note: %s\n", note)
				}
				return nil
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().StringArrayVar(&contents, "content", nil, "a `content` that the copy applies to; may be repeated")
	cmd.Flags().StringVar(&title, "name", "", "the copy's name; default: the original's")
	if err := cmd.MarkFlagRequired("content"); err != nil {
		panic(err)
	}
	return cmd
}

func newIntegrationsDelete() *cobra.Command {
	var c call
	var expected int64
	cmd := &cobra.Command{
		Use:   "delete <integration>",
		Short: "End an integration; its history stays",
		Long: `It fires no more, not even for events that are under way. "integrations rollback" brings it back. With --expect it is refused if
somebody saved since.`,
		Example: `  throughline integrations delete --workspace acme follow-up --why "the campaign is over"`,
		Args:    cobra.ExactArgs(1),
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
				resp, err := configv1.NewWorkflowServiceClient(conn).DeleteIntegration(ctx, &configv1.DeleteIntegrationRequest{
					Workspace: c.workspace, Integration: args[0], ExpectedVersion: expected,
				})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s ends with version %d\n", args[0], resp.GetVersion())
				return err
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().Int64Var(&expected, "expect", 0, "the newest version that was looked at; default: whatever is the newest now")
	return cmd
}

func newIntegrationsForget() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:   "forget-content <content>",
		Short: "End the workflows of a content that was deleted; their history stays",
		Long: `Integrations that name only this content are deleted, others do not name it any more, all of it or nothing. Integrations for all
contents stay as they are.`,
		Example: `  throughline integrations forget-content --workspace acme offer-2025`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewWorkflowServiceClient(conn).RemoveContent(ctx,
					&configv1.RemoveContentRequest{Workspace: c.workspace, ContentId: args[0]})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "deleted: %s\nwithout it from now on: %s\n",
					strings.Join(resp.GetDeleted(), ", "), strings.Join(resp.GetKept(), ", "))
				return nil
			})
		},
	}
	c.changing(cmd)
	return cmd
}
