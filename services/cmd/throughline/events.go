package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func newEvents() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "events",
		GroupID: "look",
		Short:   "The set-up of the flows of event registrations",
		Long: `A set-up is saved with "throughline apply -f" as a document of the kind EventSetup. The export of registrations works; of the
other flows the set-up is kept and no service acts upon it yet, which "events check" and saving say.`,
	}
	cmd.AddCommand(newEventsShow(), newEventsCheck())
	return cmd
}

func newEventsShow() *cobra.Command {
	var c call
	var version int64
	var at string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "The set-up, the newest or an earlier one, as JSON, and which flows are on",
		Example: `  throughline events show --workspace acme
  throughline events show --workspace acme --at 2026-04-01T00:00:00Z
  throughline events show --workspace acme --version 3 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := &configv1.GetEventSetupRequest{Workspace: c.workspace, Version: version}
			if at != "" {
				moment, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return errors.New("--at: want a time such as 2026-04-01T00:00:00Z")
				}
				req.At = timestamppb.New(moment)
			}
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewEventSetupServiceClient(conn).GetEventSetup(ctx, req)
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "version %d, in force since %s; on: %s\n", resp.GetSetup().GetVersion(),
					resp.GetSetup().GetEffectiveFrom().AsTime().Format(time.DateTime), flowNames(resp.GetOn()))
				return printJSON(cmd.OutOrStdout(), resp.GetSetup())
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().Int64Var(&version, "version", 0, "a version; default: the newest")
	cmd.Flags().StringVar(&at, "at", "", "the version that was in force at this time")
	cmd.MarkFlagsMutuallyExclusive("version", "at")
	return cmd
}

func newEventsCheck() *cobra.Command {
	var t target
	var file string
	var askOrg, asJSON bool
	cmd := &cobra.Command{
		Use:   "check -f <file>",
		Short: "Screen by screen, what of a set-up is on, off or missing; nothing is saved",
		Example: `  throughline events check -f events.yaml
  throughline events check -f events.yaml --ask-org --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			docs, err := readDocuments(cmd.InOrStdin(), []string{file})
			if err != nil {
				return err
			}
			if len(docs) != 1 {
				return fmt.Errorf("%s has %d documents; want one, of the kind EventSetup", file, len(docs))
			}
			setup, ok := docs[0].Setting.(*configv1.EventSetup)
			if !ok {
				return fmt.Errorf("%s: want a document of the kind EventSetup", docs[0].Source)
			}
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			resp, err := configv1.NewEventSetupServiceClient(conn).CheckEventSetup(cmd.Context(),
				&configv1.CheckEventSetupRequest{Setup: setup, AskOrg: askOrg})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), resp)
			}
			printScreens(cmd, resp)
			return nil
		},
	}
	t.register(cmd)
	cmd.Flags().StringVarP(&file, "file", "f", "", "`file` with the set-up, or - for standard input")
	cmd.Flags().BoolVar(&askOrg, "ask-org", false, "ask the org, too, whether objects, fields and rights are there")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err)
	}
	return cmd
}

func printScreens(cmd *cobra.Command, resp *configv1.CheckEventSetupResponse) {
	out := cmd.OutOrStdout()
	for n, s := range resp.GetScreens() {
		fmt.Fprintf(out, "%d. %s: %s\n   %s\n", n+1, strings.ReplaceAll(name(s.GetScreen(), "EVENT_SCREEN_"), "_", " "),
			name(s.GetState(), "EVENT_SCREEN_STATE_"), s.GetPurpose().GetEn())
		for _, p := range s.GetProblems() {
			fmt.Fprintf(out, "   - %s: %s\n", p.GetField(), p.GetDescription())
		}
	}
	fmt.Fprintf(out, "on: %s\n", flowNames(resp.GetOn()))
	for _, notice := range resp.GetNotices() {
		fmt.Fprintln(out, notice.GetEn())
	}
}

func flowNames(on []configv1.EventFlow) string {
	if len(on) == 0 {
		return "none"
	}
	names := make([]string, len(on))
	for n, flow := range on {
		names[n] = strings.ReplaceAll(name(flow, "EVENT_FLOW_"), "_", " ")
	}
	return strings.Join(names, ", ")
}
