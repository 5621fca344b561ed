package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// outcomeFlags are the filters of `throughline outcomes`.
type outcomeFlags struct {
	request        configv1.ListOutcomesRequest
	status, reason string
	last           time.Duration
	limit          int32
	asJSON         bool
}

func newOutcomes() *cobra.Command {
	var t target
	var f outcomeFlags
	cmd := &cobra.Command{
		Use:     "outcomes",
		GroupID: "look",
		Short:   "What became of events, writes or records",
		Example: `  throughline outcomes --workspace acme --status failed --last 1h
  throughline outcomes --workspace acme --event 0199d5a2-…
  throughline outcomes --workspace acme --record 00T5e000001AbcDEAV --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.fill(time.Now()); err != nil {
				return err
			}
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			answer, err := configv1.NewConfigServiceClient(conn).ListOutcomes(cmd.Context(), &f.request)
			if err != nil {
				return err
			}
			return printOutcomes(cmd.OutOrStdout(), answer.GetOutcomes(), f.asJSON)
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.request.Workspace, "workspace", "w", "", "the workspace")
	flags.StringVar(&f.request.EventId, "event", "", "of this event")
	flags.StringVar(&f.request.VisitId, "visit", "", "of this visit")
	flags.StringVar(&f.request.WriteKey, "write", "", "of this write key")
	flags.StringVar(&f.request.RecordId, "record", "", "of this Salesforce record id")
	flags.StringVar(&f.status, "status", "", "written, skipped, parked, failed, retrying or rejected")
	flags.StringVar(&f.reason, "reason", "", "reason code, e.g. NO_MATCH")
	flags.DurationVar(&f.last, "last", 24*time.Hour, "how far back")
	flags.Int32Var(&f.limit, "limit", 50, "how many at most, up to 1000")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
	return cmd
}

// fill turns flags into the request.
func (f *outcomeFlags) fill(now time.Time) error {
	f.request.PageSize, f.request.From = f.limit, timestamppb.New(now.Add(-f.last))
	if f.status != "" {
		code, ok := streamv1.Status_value["STATUS_"+strings.ToUpper(f.status)]
		if !ok {
			return fmt.Errorf("--status: there is no %q", f.status)
		}
		f.request.Status = streamv1.Status(code)
	}
	if f.reason != "" {
		code, ok := streamv1.Reason_value["REASON_"+strings.ToUpper(f.reason)]
		if !ok {
			names := slices.Sorted(maps.Keys(streamv1.Reason_value))
			return fmt.Errorf("--reason: there is no %q; there are %s", f.reason, strings.ReplaceAll(strings.Join(names, ", "), "REASON_", ""))
		}
		f.request.Reason = streamv1.Reason(code)
	}
	return nil
}

// printShown tells how many rows there were, unless the table has said that there were none.
func printShown(w io.Writer, n int, more string) error {
	if n == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "%d shown, newest first%s\n", n, more)
	return err
}

func printOutcomes(w io.Writer, outcomes []*streamv1.Outcome, asJSON bool) error {
	if asJSON {
		return printAllJSON(w, outcomes)
	}
	t := screen.NewTable(w, "decided", "stage", "outcome", "record", "event", "detail")
	for _, o := range outcomes {
		what := strings.TrimPrefix(o.GetStatus().String(), "STATUS_")
		if o.GetReason() != streamv1.Reason_REASON_UNSPECIFIED {
			what += "(" + strings.TrimPrefix(o.GetReason().String(), "REASON_") + ")"
		}
		t.AppendRow(screen.Row{
			o.GetDecidedAt().AsTime().Format("2006-01-02 15:04:05"), o.GetStage(), what,
			strings.TrimSpace(o.GetObject() + " " + o.GetRecordId()), o.GetEventId(), o.GetDetail(),
		})
	}
	t.Render()
	return printShown(w, len(outcomes), "")
}
