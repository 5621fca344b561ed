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
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newAPIKeys() *cobra.Command {
	cmd := &cobra.Command{Use: "api-keys", GroupID: "look", Short: "The API keys of a workspace"}
	cmd.AddCommand(newAPIKeysList(), newAPIKeysRevoke())
	return cmd
}

func newAPIKeysList() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "What keys there are, for what and until when; not their secrets",
		Example: `  throughline api-keys list --workspace acme`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewAccessServiceClient(conn).ListApiKeys(ctx, &configv1.ListApiKeysRequest{Workspace: c.workspace})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetKeys())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "id", "name", "for", "expires", "revoked")
				for _, k := range resp.GetKeys() {
					var scopes []string
					for _, s := range k.GetScopes() {
						scopes = append(scopes, name(s, "API_KEY_SCOPE_"))
					}
					t.AppendRow(screen.Row{k.GetId(), k.GetName(), strings.Join(scopes, ", "), when(k.GetExpiresAt()), when(k.GetRevokedAt())})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return "never"
	}
	return t.AsTime().Format(time.DateTime)
}

func newAPIKeysRevoke() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "revoke <id>",
		Short:   "Refuse a key from now on",
		Example: `  throughline api-keys revoke --workspace acme web --why "it was in a log"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewAccessServiceClient(conn).RevokeApiKey(ctx, &configv1.RevokeApiKeyRequest{Workspace: c.workspace, Key: args[0]})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "key %s is revoked since %s\n", args[0], when(resp.GetKey().GetRevokedAt()))
				return err
			})
		},
	}
	c.changing(cmd)
	return cmd
}

func newOperators() *cobra.Command {
	cmd := &cobra.Command{Use: "operators", GroupID: "look", Short: "Which operators may read a workspace, and until when"}
	cmd.AddCommand(newOperatorsList(), newOperatorsGrant(), newOperatorsRevoke())
	return cmd
}

func newOperatorsList() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Every grant, ended ones too",
		Example: `  throughline operators list --workspace acme`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewAccessServiceClient(conn).ListOperatorAccess(ctx, &configv1.ListOperatorAccessRequest{Workspace: c.workspace})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetAccess())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "id", "operator", "from", "until", "revoked", "by", "why")
				for _, a := range resp.GetAccess() {
					t.AppendRow(screen.Row{
						a.GetId(), a.GetOperator(), when(a.GetGrantedAt()), when(a.GetExpiresAt()), when(a.GetRevokedAt()), a.GetGrantedBy(), a.GetReason(),
					})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func newOperatorsGrant() *cobra.Command {
	var c call
	var last time.Duration
	cmd := &cobra.Command{
		Use:     "grant <operator>",
		Short:   "Let an operator of the platform read the workspace for a while",
		Example: `  throughline operators grant --workspace acme ken --for 8h --why "case 7"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewAccessServiceClient(conn).GrantOperatorAccess(ctx, &configv1.GrantOperatorAccessRequest{
					Workspace: c.workspace, Operator: args[0], ExpiresAt: timestamppb.New(time.Now().Add(last)), Reason: c.why,
				})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s may read %s until %s; to end it: throughline operators revoke --workspace %s %s\n",
					args[0], c.workspace, when(resp.GetAccess().GetExpiresAt()), c.workspace, resp.GetAccess().GetId())
				return err
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().DurationVar(&last, "for", time.Hour, "how long")
	return cmd
}

func newOperatorsRevoke() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "revoke <id>",
		Short:   "End a grant at once",
		Example: `  throughline operators revoke --workspace acme 3VYX5A…`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				_, err := configv1.NewAccessServiceClient(conn).RevokeOperatorAccess(ctx,
					&configv1.RevokeOperatorAccessRequest{Workspace: c.workspace, Access: args[0]})
				return err
			})
		},
	}
	c.changing(cmd)
	return cmd
}
