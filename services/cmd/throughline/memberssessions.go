package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newMembersSessions() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:   "sessions [id]",
		Short: "Who is signed in, and until when",
		Example: `  throughline members sessions --workspace acme
  throughline members sessions --workspace acme aoi --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &configv1.ListMemberSessionsRequest{Workspace: c.workspace}
			if len(args) > 0 {
				req.Member = args[0]
			}
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewAccessServiceClient(conn).ListMemberSessions(ctx, req)
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetSessions())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "session", "member", "until")
				for _, s := range resp.GetSessions() {
					until := s.GetExpiresAt().AsTime().Format("2006-01-02 15:04")
					if s.GetCurrent() {
						until += " (this one)"
					}
					t.AppendRow(screen.Row{s.GetId(), s.GetMember(), until})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func newMembersSignOut() *cobra.Command {
	var c call
	var session string
	cmd := &cobra.Command{
		Use:   "sign-out <id>",
		Short: "End a member's sessions",
		Long: `Ends the sessions of a member at once, in every workspace the member belongs to. Whoever is to stay out must be removed, too: the
member may sign in again.`,
		Example: `  throughline members sign-out --workspace acme aoi --why "a laptop was lost"
  throughline members sign-out --workspace acme aoi --session 3f2a9c0d11e07b54`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewAccessServiceClient(conn).EndMemberSessions(ctx, &configv1.EndMemberSessionsRequest{
					Workspace: c.workspace, Member: args[0], Session: session,
				})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d ended\n", resp.GetEnded())
				return err
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().StringVar(&session, "session", "", "only this `session`, as members sessions lists it")
	return cmd
}
