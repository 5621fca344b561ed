package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newReports() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "reports",
		GroupID: "look",
		Short:   "Tables that a source offers, whose rows can be pushed into Salesforce",
	}
	cmd.AddCommand(newReportsList(), newReportsPut(), newReportsDelete())
	return cmd
}

func newReportsList() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The reports of a workspace",
		Example: `  throughline reports list --workspace acme
  throughline reports list --workspace acme --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewReportServiceClient(conn).ListReports(ctx, &configv1.ListReportsRequest{Workspace: c.workspace})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetReports())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "id", "name", "environment", "version", "columns")
				for _, r := range resp.GetReports() {
					t.AppendRow(screen.Row{r.GetId(), r.GetName(), r.GetEnvironment(), r.GetVersion(), columnsLine(r)})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

// columnsLine is a report's columns as put takes them.
func columnsLine(r *configv1.Report) string {
	parts := make([]string, len(r.GetColumns()))
	for i, c := range r.GetColumns() {
		parts[i] = c.GetName() + ":" + name(c.GetType(), "REPORT_COLUMN_TYPE_")
		if c.GetKeyCandidate() {
			parts[i] += ":key"
		}
	}
	return strings.Join(parts, ", ")
}

func newReportsPut() *cobra.Command {
	var c call
	r := &configv1.Report{}
	var columns []string
	cmd := &cobra.Command{
		Use:   "put <id>",
		Short: "Register a report, or change it",
		Long: `Registers a report or changes what is given of it; the id stays. --column is name:type or name:type:key, once a column and in any
order; types are text, number, integer, boolean, date, datetime. With any --column the report has these and no others. What is
printed names the pushes that a missing column breaks. "throughline apply -f" takes reports, too, with descriptions.`,
		Example: `  throughline reports put --workspace acme usage --name "Usage by user" --column email:text:key --column score:number
  throughline reports put --workspace acme usage --name "Usage"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Workspace, r.Id = c.workspace, args[0]
			for _, text := range columns {
				column, err := reportColumn(text)
				if err != nil {
					return err
				}
				r.Columns = append(r.Columns, column)
			}
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				return putReport(ctx, cmd, configv1.NewReportServiceClient(conn), r)
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().StringVar(&r.Name, "name", "", "name; default: the id, or what it is")
	cmd.Flags().StringVar(&r.Environment, "environment", "", "the source's environment that it comes from")
	cmd.Flags().StringArrayVar(&columns, "column", nil, "`name:type[:key]`; may be repeated")
	return cmd
}

// reportColumn reads name:type or name:type:key.
func reportColumn(text string) (*configv1.ReportColumn, error) {
	rest, key := strings.CutSuffix(text, ":key")
	at := strings.LastIndex(rest, ":")
	if at < 1 {
		return nil, fmt.Errorf("--column %q: want name:type or name:type:key", text)
	}
	code := configv1.ReportColumnType_value["REPORT_COLUMN_TYPE_"+strings.ToUpper(rest[at+1:])]
	if code == 0 {
		return nil, fmt.Errorf("--column %q: %q is not one of text, number, integer, boolean, date, datetime", text, rest[at+1:])
	}
	return &configv1.ReportColumn{Name: rest[:at], Type: configv1.ReportColumnType(code), KeyCandidate: key}, nil
}

// putReport fills in what is there already.
func putReport(ctx context.Context, cmd *cobra.Command, client configv1.ReportServiceClient, r *configv1.Report) error {
	old, err := findReport(ctx, client, r.GetWorkspace(), r.GetId())
	if err != nil && status.Code(err) != codes.NotFound {
		return err
	}
	r.Version = old.GetVersion()
	if r.GetName() == "" {
		r.Name = old.GetName()
	}
	if r.GetName() == "" {
		r.Name = r.GetId()
	}
	if r.GetEnvironment() == "" {
		r.Environment = old.GetEnvironment()
	}
	if len(r.GetColumns()) == 0 {
		r.Columns = old.GetColumns()
	}
	resp, err := client.PutReport(ctx, &configv1.PutReportRequest{Report: r})
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "report %s of %s is at version %d\n", r.GetId(), r.GetWorkspace(), resp.GetReport().GetVersion())
	for _, broken := range resp.GetBroken() {
		fmt.Fprintf(cmd.OutOrStdout(), "broken: %s\n", broken)
	}
	return nil
}

func findReport(ctx context.Context, client configv1.ReportServiceClient, workspace, id string) (*configv1.Report, error) {
	resp, err := client.ListReports(ctx, &configv1.ListReportsRequest{Workspace: workspace})
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(resp.GetReports(), func(r *configv1.Report) bool { return r.GetId() == id })
	if at < 0 {
		return nil, status.Errorf(codes.NotFound, "workspace %s has no report %s", workspace, id)
	}
	return resp.GetReports()[at], nil
}

func newReportsDelete() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "delete <id>",
		Short:   "Take a report out of the catalogue, and pause its pushes",
		Example: `  throughline reports delete --workspace acme usage --why "replaced by usage-2"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				client := configv1.NewReportServiceClient(conn)
				old, err := findReport(ctx, client, c.workspace, args[0])
				if err != nil {
					return err
				}
				resp, err := client.DeleteReport(ctx, &configv1.DeleteReportRequest{Workspace: c.workspace, Report: args[0], Version: old.GetVersion()})
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "report %s of %s is gone\n", args[0], c.workspace)
				for _, id := range resp.GetPaused() {
					fmt.Fprintf(cmd.OutOrStdout(), "push %s is paused\n", id)
				}
				return nil
			})
		},
	}
	c.changing(cmd)
	return cmd
}
