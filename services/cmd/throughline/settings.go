package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func newSettings() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "settings",
		GroupID: "look",
		Short:   "What settings of any kind were before, and back to it",
	}
	cmd.AddCommand(newSettingsHistory(), newSettingsRollback())
	return cmd
}

// settingKind reads a kind as people write it.
func settingKind(text string) (configv1.SettingKind, error) {
	code, ok := configv1.SettingKind_value["SETTING_KIND_"+strings.ToUpper(text)]
	if !ok || code == 0 {
		return 0, fmt.Errorf("there is no kind %q; there are workspace, connection, integration, content, report, report_push", text)
	}
	return configv1.SettingKind(code), nil
}

func newSettingsHistory() *cobra.Command {
	var c call
	var limit int32
	cmd := &cobra.Command{
		Use:   "history <kind> <id>",
		Short: "Who saved which version when and why, before and after, newest first",
		Example: `  throughline settings history --workspace acme connection main
  throughline settings history --workspace acme workspace acme --json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := settingKind(args[0])
			if err != nil {
				return err
			}
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewSettingHistoryServiceClient(conn).ListSettingVersions(ctx,
					&configv1.ListSettingVersionsRequest{Workspace: c.workspace, Kind: kind, Id: args[1], PageSize: limit})
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if c.asJSON {
					return printAllJSON(out, resp.GetVersions())
				}
				for _, v := range resp.GetVersions() {
					why := v.GetReason()
					if why != "" {
						why = ": " + why
					}
					fmt.Fprintf(out, "version %d  %s  %s%s\n", v.GetVersion(), v.GetSavedAt().AsTime().Format(time.DateTime), v.GetSavedBy(), why)
					for _, change := range v.GetChanges() {
						fmt.Fprintf(out, "    %s\n", changeLine(change))
					}
				}
				return nil
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().Int32Var(&limit, "limit", 20, "how many at most, up to 100")
	return cmd
}

func newSettingsRollback() *cobra.Command {
	var c call
	var to, expected int64
	cmd := &cobra.Command{
		Use:   "rollback <kind> <id>",
		Short: "Save the content of an earlier version as a new one",
		Long: `The earlier version is checked like any other: one that no longer validates is refused, with what is wrong. Secrets do not come
back: a connection keeps those it has. --expect is the newest version in the history you looked at; it is refused if
somebody saved since.`,
		Example: `  throughline settings rollback --workspace acme content video-7 --to 1 --expect 2 --why "tracked after all"`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := settingKind(args[0])
			if err != nil {
				return err
			}
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewSettingHistoryServiceClient(conn).RollBackSetting(ctx, &configv1.RollBackSettingRequest{
					Workspace: c.workspace, Kind: kind, Id: args[1], ToVersion: to, ExpectedVersion: expected, Reason: c.why,
				})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "version %d has the content of version %d\n", resp.GetVersion(), to)
				return err
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().Int64Var(&to, "to", 0, "the version to go back to")
	cmd.Flags().Int64Var(&expected, "expect", 0, "the newest version that was looked at")
	for _, flag := range []string{"to", "expect"} {
		if err := cmd.MarkFlagRequired(flag); err != nil {
			panic(err)
		}
	}
	return cmd
}
