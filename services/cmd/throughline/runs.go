package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func newRuns() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "runs",
		GroupID: "look",
		Short:   "What the runs of report pushes did",
	}
	cmd.AddCommand(newRunsList(), newRunsShow(), newRunsStop())
	return cmd
}

func newRunsList() *cobra.Command {
	var c call
	req := &configv1.ListReportRunsRequest{}
	var ids, asCSV bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The runs, newest first",
		Long:  `Prints report name, Salesforce object, start in UTC, run time and status of every run. Runs are kept for 13 months.`,
		Example: `  throughline runs list --workspace acme --push scores
  throughline runs list --workspace acme --ids
  throughline runs list --workspace acme --limit 1000 --csv > runs.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req.Workspace = c.workspace
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewReportRunServiceClient(conn).ListReportRuns(ctx, req)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				switch {
				case c.asJSON:
					return printAllJSON(out, resp.GetRuns())
				case asCSV:
					return writeCSV(out, runsHeader(ids), runsTable(resp.GetRuns(), ids))
				}
				printTable(out, runsHeader(ids), runsTable(resp.GetRuns(), ids))
				if resp.GetNextPageToken() != "" {
					_, err = fmt.Fprintf(out, "there are more; raise --limit\n")
				}
				return err
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVar(&req.Push, "push", "", "only runs of this push")
	cmd.Flags().Int32Var(&req.PageSize, "limit", 100, "how many at most, up to 1000")
	cmd.Flags().BoolVar(&ids, "ids", false, "print the runs' ids and pushes, too")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print CSV, for a spreadsheet")
	return cmd
}

func newRunsShow() *cobra.Command {
	var c call
	var push string
	var asCSV bool
	cmd := &cobra.Command{
		Use:   "show [run]",
		Short: "The raw log of a run: its version, counts, chunks, and the rows that were not written",
		Long: `Shows one run, or the newest of a push. Keys of rows are masked unless the caller is an owner or the privacy officer. Chunks and
rows are kept for 90 days. --csv prints the rows only.`,
		Example: `  throughline runs show --workspace acme --push scores
  throughline runs show --workspace acme 7KQ2XW… --json
  throughline runs show --workspace acme --push scores --csv > rows.csv`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				client := configv1.NewReportRunServiceClient(conn)
				id, err := runID(ctx, client, c.workspace, push, args)
				if err != nil {
					return err
				}
				run, err := client.GetReportRun(ctx, &configv1.GetReportRunRequest{Workspace: c.workspace, Run: id})
				if err != nil {
					return err
				}
				rows, err := allRows(ctx, client, c.workspace, id)
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				switch {
				case c.asJSON:
					return errors.Join(printJSON(out, run), printAllJSON(out, rows))
				case asCSV:
					return writeCSV(out, rowsHeader, rowsTable(rows))
				}
				printRun(out, run, rows)
				return nil
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVar(&push, "push", "", "the newest run of this push")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print the rows as CSV, for a spreadsheet")
	return cmd
}

// runID is the run that is named, or the newest of a push.
func runID(ctx context.Context, client configv1.ReportRunServiceClient, workspace, push string, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	if push == "" {
		return "", errors.New("name a run, or a push with --push")
	}
	resp, err := client.ListReportRuns(ctx, &configv1.ListReportRunsRequest{Workspace: workspace, Push: push, PageSize: 1})
	if err == nil && len(resp.GetRuns()) == 0 {
		err = fmt.Errorf("push %s has not run yet", push)
	}
	if err != nil {
		return "", err
	}
	return resp.GetRuns()[0].GetId(), nil
}

// allRows reads page after page.
func allRows(ctx context.Context, client configv1.ReportRunServiceClient, workspace, run string) ([]*configv1.ReportRunRow, error) {
	var out []*configv1.ReportRunRow
	req := &configv1.ListReportRunRowsRequest{Workspace: workspace, Run: run, PageSize: 1000}
	for {
		resp, err := client.ListReportRunRows(ctx, req)
		if err != nil {
			return nil, err
		}
		out = append(out, resp.GetRows()...)
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			return out, nil
		}
	}
}

func newRunsStop() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "stop <run>",
		Short:   "Have a run end after its current chunk",
		Example: `  throughline runs stop --workspace acme 7KQ2XW…`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewReportRunServiceClient(conn).StopReportRun(ctx, &configv1.StopReportRunRequest{Workspace: c.workspace, Run: args[0]})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp.GetRun())
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "run %s: %s\n", args[0], runStatus(resp.GetRun()))
				return err
			})
		},
	}
	c.changing(cmd)
	return cmd
}
