package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newDays() *cobra.Command {
	var t target
	var request configv1.ListIntegrationDaysRequest
	var last time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "days",
		GroupID: "look",
		Short:   "What integrations did, day by day",
		Example: `  throughline days --workspace acme
  throughline days --workspace acme --integration video-engagement --last 720h --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.From = timestamppb.New(time.Now().Add(-last))
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			answer, err := configv1.NewRunLogServiceClient(conn).ListIntegrationDays(cmd.Context(), &request)
			if err != nil {
				return err
			}
			return printDays(cmd.OutOrStdout(), answer, asJSON)
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&request.Workspace, "workspace", "w", "", "the workspace")
	flags.StringVar(&request.Integration, "integration", "", "only this integration")
	flags.DurationVar(&last, "last", 7*24*time.Hour, "how far back")
	flags.Int32Var(&request.PageSize, "limit", 100, "how many at most, up to 1000")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
	return cmd
}

func printDays(w io.Writer, answer *configv1.ListIntegrationDaysResponse, asJSON bool) error {
	days := answer.GetDays()
	if asJSON {
		return printAllJSON(w, days)
	}
	t := screen.NewTable(w, "day (UTC)", "integration", "from", "to", "read", "written", "skipped", "parked", "failed", "first error")
	for _, d := range days {
		t.AppendRow(screen.Row{
			d.GetDay().AsTime().Format(time.DateOnly), d.GetIntegration(), d.GetFirst().AsTime().Format(time.TimeOnly),
			d.GetLast().AsTime().Format(time.TimeOnly), d.GetRead(), d.GetWritten(), d.GetSkipped(), d.GetParked() + d.GetRetrying(),
			d.GetFailed(), d.GetFirstError().GetDetail(),
		})
	}
	t.Render()
	more := ""
	if answer.GetNextPageToken() != "" {
		more = "; there are more, raise --limit"
	}
	return printShown(w, len(days), more)
}
