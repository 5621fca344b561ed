package main

import (
	"bytes"
	"encoding/csv"
	"os"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/apply"
)

const pushFile = `kind: ReportPush
workspace: acme
id: scores
report: usage
connection: main
object: Contact
key_column: email
key_field: Email
columns: [{column: score, field: Score__c}]
several_matches: SEVERAL_MATCHES_LATEST
enabled: true
---
kind: Report
workspace: acme
id: extra
name: Extra
columns: [{name: id, type: REPORT_COLUMN_TYPE_TEXT}]
`

func TestReportsArePushedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	b := setupConfig(t)
	_, err := b.client.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: &configv1.Connection{
		Workspace: "acme", Id: "main", LoginUrl: "http://127.0.0.1:1", // nobody answers
		Grant: &configv1.Connection_ClientCredentials{ClientCredentials: &configv1.ClientCredentials{ClientId: "c", ClientSecret: "s"}},
	}})
	require.NoError(t, err)
	require.Contains(t, b.must(t, "reports", "put", "-w", "acme", "usage", "--name", "Usage", "--column", "email:text:key", "--column", "score:number"),
		"report usage of acme is at version 1")
	require.Regexp(t, `usage │ Usage │ +│ +1 │ email:text:key, score:number`, b.must(t, "reports", "list", "-w", "acme"))
	_, err = b.run(t, "admin.token", "reports", "put", "-w", "acme", "bad", "--column", "email:mail")
	require.ErrorContains(t, err, `"mail" is not one of text`)

	require.NoError(t, os.WriteFile(b.path("push.yaml"), []byte(pushFile), 0o600))
	require.Contains(t, b.must(t, "apply", "-f", b.path("push.yaml"), "--dry-run"), "scores")
	require.Contains(t, b.must(t, "apply", "-f", b.path("push.yaml")), "created")
	again := b.must(t, "apply", "-f", b.path("push.yaml"))
	require.NotContains(t, again, "created")
	require.NotContains(t, again, "updated", "applying the same file twice changes nothing")
	require.Regexp(t, `scores │ usage +│ Contact │ main +│ active`, b.must(t, "pushes", "list", "-w", "acme"))

	require.Contains(t, b.must(t, "pushes", "run", "-w", "acme", "scores"), "is under way")
	require.Contains(t, b.must(t, "runs", "list", "-w", "acme", "--ids"), "scores")
	shown := b.must(t, "runs", "show", "-w", "acme", "--push", "scores")
	require.Contains(t, shown, "number 1 of push scores at version 1, by manual")
	_, id, _ := strings.Cut(shown, "run ")
	id, _, _ = strings.Cut(id, ",")
	require.Contains(t, b.must(t, "runs", "stop", "-w", "acme", id), "failed")
	require.Contains(t, b.must(t, "runs", "list", "-w", "acme", "--csv"), "report,Salesforce object,start (UTC),run time,status\nUsage,Contact,")

	require.Contains(t, b.must(t, "pushes", "copy", "-w", "acme", "scores", "--to", "twin"), "push twin of acme is paused")
	require.Contains(t, b.must(t, "pushes", "pause", "-w", "acme", "scores"), "is paused (version 2)")
	_, err = b.run(t, "admin.token", "pushes", "run", "-w", "acme", "scores")
	require.ErrorContains(t, err, "paused")
	require.Contains(t, b.must(t, "pushes", "resume", "-w", "acme", "scores"), "next run")
	require.Contains(t, b.must(t, "settings", "history", "-w", "acme", "report_push", "scores"), "version 3")
	require.Contains(t, b.must(t, "reports", "put", "-w", "acme", "usage", "--column", "email:text:key"), "broken: push scores: columns[0].column")
	require.Contains(t, b.must(t, "reports", "delete", "-w", "acme", "usage"), "push scores is paused")
	require.Contains(t, b.must(t, "pushes", "delete", "-w", "acme", "scores"), "is gone")
	require.Contains(t, b.must(t, "runs", "list", "-w", "acme", "--json"), id, "its log stays")
}

func TestTheLogOfRunsHasItsFiveColumns(t *testing.T) {
	t.Attr("requirement", "WALK-32")
	t.Parallel()
	run := &configv1.ReportRun{
		Id: "R1", Push: "scores", PushVersion: 4, Number: 9, ReportName: "=Usage", Object: "Contact", Connection: "main", Delivery: "d7",
		Trigger: configv1.ReportRunTrigger_REPORT_RUN_TRIGGER_SCHEDULE, StartedAt: timestamppb.New(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)),
		RunTime: durationpb.New(83 * time.Second), Status: configv1.ReportRunStatus_REPORT_RUN_STATUS_RUNNING,
		Reason: streamv1.Reason_REASON_SF_UNAVAILABLE, Detail: "waits", LeftOut: []string{"A → B: SF_FIELD_GONE"},
		Counts: &configv1.ReportRunCounts{Rows: 3, Written: 2, Failed: 1},
	}
	var out bytes.Buffer
	require.NoError(t, writeCSV(&out, runsHeader(false), runsTable([]*configv1.ReportRun{run}, false)))
	rows, err := csv.NewReader(&out).ReadAll()
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{"report", "Salesforce object", "start (UTC)", "run time", "status"},
		{"'=Usage", "Contact", "2026-03-01 09:00:00", "1m23s", "running"},
	}, rows, "and nothing that a spreadsheet takes for a formula")

	out.Reset()
	printRun(&out, &configv1.GetReportRunResponse{Run: run, Chunks: []*configv1.ReportRunChunk{{
		Number: 0, FirstRow: 1, Rows: 3, Took: durationpb.New(2 * time.Second), Writes: 4, RequestIds: []string{"req-1"},
	}}}, []*configv1.ReportRunRow{{
		Number: 2, Key: "h•••", Reason: streamv1.Reason_REASON_SF_VALIDATION, SalesforceCode: "FIELD_CUSTOM_VALIDATION_EXCEPTION",
		Detail: "Score may not fall", RecordIds: []string{"003A"},
	}})
	for _, says := range []string{
		"push scores at version 4", "SF_UNAVAILABLE: waits", "left out: A → B", "3 rows: 2 written", "1–3", "req-1", "h•••", "Score may not fall", "003A",
	} {
		require.Contains(t, out.String(), says)
	}
}

func TestTheGuidesDocumentsAreSettings(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/reports.md")
	require.NoError(t, err)
	var kinds []string
	for rest := string(text); ; {
		_, after, found := strings.Cut(rest, "```yaml\n")
		if !found {
			break
		}
		block, after, _ := strings.Cut(after, "```")
		docs, err := apply.Parse("reports.md", []byte(block))
		require.NoError(t, err)
		require.Len(t, docs, 1)
		kinds = append(kinds, string(docs[0].Setting.ProtoReflect().Descriptor().Name()))
		require.NoError(t, protovalidate.Validate(docs[0].Setting))
		rest = after
	}
	require.Equal(t, []string{"Report", "ReportPush"}, kinds)
}
