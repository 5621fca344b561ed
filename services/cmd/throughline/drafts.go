package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// maxDraft is the most that a draft holds.
const maxDraft = 256 << 10

func newDrafts() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "drafts",
		GroupID: "look",
		Short:   "What somebody has entered and not finished",
		Long:    `Drafts are kept for 30 days after they were last saved. Nothing acts on them. They must hold no secrets.`,
	}
	cmd.AddCommand(newDraftsList(), newDraftsShow(), newDraftsPut(), newDraftsDelete())
	return cmd
}

// draftsCall is a command about drafts.
type draftsCall struct{ call }

func (c *draftsCall) with(cmd *cobra.Command, f func(context.Context, configv1.DraftServiceClient) error) error {
	return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
		return f(ctx, configv1.NewDraftServiceClient(conn))
	})
}

func newDraftsList() *cobra.Command {
	var c draftsCall
	var kind string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "The drafts of a workspace",
		Example: `  throughline drafts list --workspace acme --kind event-setup`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(cmd, func(ctx context.Context, service configv1.DraftServiceClient) error {
				resp, err := service.ListDrafts(ctx, &configv1.ListDraftsRequest{Workspace: c.workspace, Kind: kind})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetDrafts())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "kind", "id", "version", "saved", "by", "kept until")
				for _, d := range resp.GetDrafts() {
					t.AppendRow(screen.Row{
						d.GetKind(), d.GetId(), d.GetVersion(), d.GetSavedAt().AsTime().Format(time.DateTime), d.GetSavedBy(),
						d.GetExpiresAt().AsTime().Format(time.DateTime),
					})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVar(&kind, "kind", "", "only of this kind")
	return cmd
}

func newDraftsShow() *cobra.Command {
	var c draftsCall
	cmd := &cobra.Command{
		Use:     "show <kind> <id>",
		Short:   "What a draft holds, as it was saved",
		Example: `  throughline drafts show --workspace acme event-setup spring-fair > draft.json`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, func(ctx context.Context, service configv1.DraftServiceClient) error {
				resp, err := service.GetDraft(ctx, &configv1.GetDraftRequest{Workspace: c.workspace, Kind: args[0], Id: args[1]})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp.GetDraft())
				}
				_, err = io.WriteString(cmd.OutOrStdout(), resp.GetDraft().GetContent())
				return err
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func newDraftsPut() *cobra.Command {
	var c draftsCall
	var version int64
	cmd := &cobra.Command{
		Use:   "put <kind> <id>",
		Short: "Save a draft from standard input",
		Long:  `--expect is the version that was read, 0 for a new draft. If somebody else saved since, it is refused: read, merge, save again.`,
		Example: `  throughline drafts put --workspace acme event-setup spring-fair < draft.json
  throughline drafts put --workspace acme event-setup spring-fair --expect 1 < draft.json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			content, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxDraft+1))
			if err != nil {
				return err
			}
			return c.with(cmd, func(ctx context.Context, service configv1.DraftServiceClient) error {
				resp, err := service.PutDraft(ctx, &configv1.PutDraftRequest{Draft: &configv1.Draft{
					Workspace: c.workspace, Kind: args[0], Id: args[1], Content: string(content), Version: version,
				}})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp.GetDraft())
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "version %d, kept until %s\n", resp.GetDraft().GetVersion(),
					resp.GetDraft().GetExpiresAt().AsTime().Format(time.DateTime))
				return err
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().Int64Var(&version, "expect", 0, "the version that was read; 0: a new draft")
	return cmd
}

func newDraftsDelete() *cobra.Command {
	var c draftsCall
	cmd := &cobra.Command{
		Use:     "delete <kind> <id>",
		Short:   "Discard a draft",
		Example: `  throughline drafts delete --workspace acme event-setup spring-fair`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd, func(ctx context.Context, service configv1.DraftServiceClient) error {
				_, err := service.DeleteDraft(ctx, &configv1.DeleteDraftRequest{Workspace: c.workspace, Kind: args[0], Id: args[1]})
				return err
			})
		},
	}
	c.flags(cmd)
	return cmd
}
