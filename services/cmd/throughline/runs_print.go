package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// runsHeader are the columns of the log; ids come before them.
func runsHeader(ids bool) []string {
	header := []string{"report", "Salesforce object", "start (UTC)", "run time", "status"}
	if ids {
		return append([]string{"run", "push"}, header...)
	}
	return header
}

func runsTable(runs []*configv1.ReportRun, ids bool) [][]string {
	out := make([][]string, len(runs))
	for i, r := range runs {
		if ids {
			out[i] = []string{r.GetId(), r.GetPush()}
		}
		out[i] = append(out[i], r.GetReportName(), r.GetObject(), r.GetStartedAt().AsTime().Format(time.DateTime),
			r.GetRunTime().AsDuration().Round(time.Second).String(), runStatus(r))
	}
	return out
}

func runStatus(r *configv1.ReportRun) string { return name(r.GetStatus(), "REPORT_RUN_STATUS_") }

var rowsHeader = []string{"row", "key", "reason", "Salesforce code", "detail", "records"}

func rowsTable(rows []*configv1.ReportRunRow) [][]string {
	out := make([][]string, len(rows))
	for i, r := range rows {
		out[i] = []string{
			strconv.FormatInt(r.GetNumber(), 10), r.GetKey(), strings.TrimPrefix(r.GetReason().String(), "REASON_"), r.GetSalesforceCode(),
			r.GetDetail(), strings.Join(r.GetRecordIds(), " "),
		}
	}
	return out
}

func printTable(w io.Writer, header []string, rows [][]string) {
	cells := func(texts []string) []any {
		out := make([]any, len(texts))
		for i, text := range texts {
			out[i] = text
		}
		return out
	}
	t := screen.NewTable(w, cells(header)...)
	for _, row := range rows {
		t.AppendRow(screen.Row(cells(row)))
	}
	t.Render()
}

// writeCSV guards cells against being read as formulas by a spreadsheet.
func writeCSV(w io.Writer, header []string, rows [][]string) error {
	out := csv.NewWriter(w)
	for _, row := range append([][]string{header}, rows...) {
		safe := make([]string, len(row))
		for i, cell := range row {
			if safe[i] = cell; strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r") {
				safe[i] = "'" + cell
			}
		}
		if err := out.Write(safe); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// printRun prints all that is known of a run.
func printRun(w io.Writer, got *configv1.GetReportRunResponse, rows []*configv1.ReportRunRow) {
	r := got.GetRun()
	fmt.Fprintf(w, "%s → %s  %s\n", r.GetReportName(), r.GetObject(), runStatus(r))
	fmt.Fprintf(w, "run %s, number %d of push %s at version %d, by %s\n", r.GetId(), r.GetNumber(), r.GetPush(), r.GetPushVersion(),
		name(r.GetTrigger(), "REPORT_RUN_TRIGGER_"))
	fmt.Fprintf(w, "connection %s, delivery %s, from %s UTC for %s\n", r.GetConnection(), r.GetDelivery(),
		r.GetStartedAt().AsTime().Format(time.DateTime), r.GetRunTime().AsDuration().Round(time.Second))
	if r.GetDetail() != "" {
		fmt.Fprintf(w, "%s\n", strings.TrimPrefix(strings.TrimPrefix(r.GetReason().String(), "REASON_")+": "+r.GetDetail(), "UNSPECIFIED: "))
	}
	for _, left := range r.GetLeftOut() {
		fmt.Fprintf(w, "left out: %s\n", left)
	}
	fmt.Fprintln(w, countsLine(r.GetCounts()))
	chunks := make([][]string, len(got.GetChunks()))
	for i, c := range got.GetChunks() {
		chunks[i] = []string{
			strconv.FormatInt(c.GetNumber(), 10), fmt.Sprintf("%d–%d", c.GetFirstRow(), c.GetFirstRow()+c.GetRows()-1),
			c.GetStartedAt().AsTime().Format(time.DateTime), c.GetTook().AsDuration().String(), strconv.FormatInt(c.GetWrites(), 10),
			strings.Join(c.GetRequestIds(), " "),
		}
	}
	printTable(w, []string{"chunk", "rows", "start (UTC)", "took", "writes", "Salesforce's request ids"}, chunks)
	printTable(w, rowsHeader, rowsTable(rows))
}

func countsLine(c *configv1.ReportRunCounts) string {
	return fmt.Sprintf("%d rows: %d written, %d unchanged, %d without a record, %d with several records, %d with a blank key, "+
		"%d with a key that is there twice, %d equal to another, %d failed, %d skipped, %d pending", c.GetRows(), c.GetWritten(), c.GetUnchanged(),
		c.GetUnmatched(), c.GetAmbiguous(), c.GetBlankKeys(), c.GetRepeatedKeys(), c.GetEqualRows(), c.GetFailed(), c.GetSkipped(), c.GetPending())
}
