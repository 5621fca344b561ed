package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newErasureStatus() *cobra.Command {
	var f privacyFlags
	cmd := &cobra.Command{
		Use:   "status [erasure]",
		Short: "How far erasures are, and the certificate of one",
		Long: `Without an id it lists the workspace's erasures, newest first; with one it prints its certificate: what was removed, what
remains until when, and the ids of the records in Salesforce.`,
		Example: `  throughline privacy status --workspace acme
  throughline privacy status --workspace acme 7LMVVJ3Q… --json > certificate.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, s configv1.PrivacyServiceClient) error {
				if len(args) == 0 {
					return f.list(ctx, cmd.OutOrStdout(), s)
				}
				got, err := s.GetErasure(ctx, &configv1.GetErasureRequest{Workspace: f.workspace, ErasureId: args[0]})
				if err != nil {
					return err
				}
				return printErasure(cmd.OutOrStdout(), got.GetErasure(), f.asJSON)
			})
		},
	}
	f.register(cmd, false)
	return cmd
}

// list prints all of a workspace's erasures, a page at a time.
func (f *privacyFlags) list(ctx context.Context, w io.Writer, s configv1.PrivacyServiceClient) error {
	all := &configv1.ListErasuresResponse{}
	for token := ""; ; {
		page, err := s.ListErasures(ctx, &configv1.ListErasuresRequest{Workspace: f.workspace, PageSize: 1000, PageToken: token})
		if err != nil {
			return err
		}
		all.Erasures = append(all.Erasures, page.GetErasures()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if f.asJSON {
		return printJSON(w, all)
	}
	t := screen.NewTable(w, "erasure", "status", "requested", "by", "addresses", "numbers", "completed", "lifted", "deadline")
	for _, e := range all.GetErasures() {
		t.AppendRow(screen.Row{
			e.GetId(), statusOf(e), moment(e.GetRequestedAt()), e.GetRequestedBy(), e.GetAddresses(), e.GetPhones(),
			moment(e.GetCompletedAt()), moment(e.GetLiftedAt()), progressOf(e),
		})
	}
	t.Render()
	return nil
}

func printErasure(w io.Writer, e *configv1.Erasure, asJSON bool) error {
	if asJSON {
		return printJSON(w, e)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Erasure %s of %d addresses and %d numbers in workspace %s: %s\n", e.GetId(), e.GetAddresses(), e.GetPhones(), e.GetWorkspace(), statusOf(e))
	fmt.Fprintf(&b, "requested %s by %s; completed %s; lifted %s\n",
		moment(e.GetRequestedAt()), e.GetRequestedBy(), moment(e.GetCompletedAt()), moment(e.GetLiftedAt()))
	fmt.Fprintf(&b, "meant to be done by %s, due by %s: %s\n", moment(e.GetTargetAt()), moment(e.GetDueAt()), progressOf(e))
	c := e.GetCertificate()
	for _, r := range c.GetRemoved() {
		count := ""
		if r.GetCount() > 0 {
			count = fmt.Sprintf(" (%d)", r.GetCount())
		}
		fmt.Fprintf(&b, "removed  %s%s: %s\n", r.GetPlace(), count, r.GetDetail())
	}
	for _, r := range c.GetRemaining() {
		until := ""
		if r.GetUntil() != nil {
			until = " until " + moment(r.GetUntil())
		}
		fmt.Fprintf(&b, "remains  %s%s: %s\n", r.GetPlace(), until, r.GetDetail())
	}
	for _, r := range c.GetRecords() {
		fmt.Fprintf(&b, "record   %s %s in %s, last written %s\n", r.GetObject(), r.GetRecordId(), r.GetConnection(), moment(r.GetWrittenAt()))
	}
	if n := c.GetRecordsLeftOut(); n > 0 {
		fmt.Fprintf(&b, "record   … and %d more\n", n)
	}
	if e.GetStatus() == configv1.ErasureStatus_ERASURE_STATUS_RUNNING {
		fmt.Fprintf(&b, "The certificate: throughline privacy status --workspace %s %s\n", e.GetWorkspace(), e.GetId())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func statusOf(e *configv1.Erasure) string {
	return strings.TrimPrefix(e.GetStatus().String(), "ERASURE_STATUS_")
}

// progressOf says how an erasure stands with its deadlines.
func progressOf(e *configv1.Erasure) string {
	return strings.ReplaceAll(strings.TrimPrefix(e.GetProgress().String(), "ERASURE_PROGRESS_"), "_", " ")
}

// moment is a time for people; "-" for none.
func moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Format("2006-01-02 15:04:05Z")
}
