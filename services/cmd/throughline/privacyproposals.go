package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newProposals() *cobra.Command {
	var f privacyFlags
	cmd := &cobra.Command{
		Use:   "proposals",
		Short: "Whom Salesforce says to forget, for you to decide on",
		Long: `Lists people whose privacy record in an org (Individual) says "forget this individual". Nothing is erased by that alone, and nothing is
written about them meanwhile. The record in the org tells who it is: look there, then "confirm" or "dismiss".`,
		Example: `  throughline privacy proposals --workspace acme
  throughline privacy proposals --workspace acme --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, s configv1.PrivacyServiceClient) error {
				got, err := s.ListErasureProposals(ctx, &configv1.ListErasureProposalsRequest{Workspace: f.workspace})
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), got)
				}
				t := screen.NewTable(cmd.OutOrStdout(), "proposal", "proposed", "connection", "record")
				for _, p := range got.GetProposals() {
					t.AppendRow(screen.Row{p.GetId(), moment(p.GetProposedAt()), p.GetConnection(), p.GetObject() + " " + p.GetRecordId()})
				}
				t.Render()
				return nil
			})
		},
	}
	f.register(cmd, false)
	return cmd
}

func newConfirm() *cobra.Command {
	var f privacyFlags
	var yes, blank bool
	cmd := &cobra.Command{
		Use:   "confirm <proposal>",
		Short: "Erase a person whom Salesforce says to forget; only with --yes",
		Long: `Starts the erasure that is proposed, of the address or number under which the person was found. Has the person others, erase those by
"privacy erase".`,
		Example: `  throughline privacy confirm --workspace acme 7LMVVJ3Q… --yes
  throughline privacy confirm --workspace acme 7LMVVJ3Q… --yes --blank-rows --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return fmt.Errorf("the erasure of proposal %s in workspace %s cannot be undone: add --yes", args[0], f.workspace)
			}
			return f.call(cmd.Context(), func(ctx context.Context, s configv1.PrivacyServiceClient) error {
				got, err := s.ConfirmErasureProposal(ctx, &configv1.ConfirmErasureProposalRequest{
					Workspace: f.workspace, ProposalId: args[0], Confirm: true, BlankRows: blank,
				})
				if err != nil {
					return err
				}
				return printErasure(cmd.OutOrStdout(), got.GetErasure(), f.asJSON)
			})
		},
	}
	f.register(cmd, false)
	cmd.Flags().BoolVar(&yes, "yes", false, "really erase")
	cmd.Flags().BoolVar(&blank, "blank-rows", false, "blank the person's Engagement__c rows in Salesforce, too")
	return cmd
}

func newDismiss() *cobra.Command {
	var f privacyFlags
	cmd := &cobra.Command{
		Use:   "dismiss <proposal>",
		Short: "Leave a person whom Salesforce says to forget; it is proposed again after 30 days",
		Example: `  throughline privacy dismiss --workspace acme 7LMVVJ3Q…
  throughline privacy dismiss --workspace acme 7LMVVJ3Q… --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, s configv1.PrivacyServiceClient) error {
				got, err := s.DismissErasureProposal(ctx, &configv1.DismissErasureProposalRequest{Workspace: f.workspace, ProposalId: args[0]})
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), got)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "proposal %s is dismissed\n", args[0])
				return err
			})
		},
	}
	f.register(cmd, false)
	return cmd
}
