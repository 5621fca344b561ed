package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// maxPage is the most that one call answers.
const maxPage = 1000

// auditFlags are the filters of `throughline audit`.
type auditFlags struct {
	request configv1.ListAuditEntriesRequest
	last    time.Duration
	limit   int32
	asJSON  bool
}

func newAudit() *cobra.Command {
	var t target
	var f auditFlags
	cmd := &cobra.Command{
		Use:     "audit",
		GroupID: "look",
		Short:   "Who changed what, when, why, before and after",
		Long: `Reads the audit log of a workspace, newest first. Secrets and personal data appear as changed only. Without --workspace it reads
what concerns none: sessions and administrators' links.`,
		Example: `  throughline audit --workspace acme --last 168h
  throughline audit --workspace acme --kind integration --target follow-up
  throughline audit --workspace acme --actor aoi --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.request.From = timestamppb.New(time.Now().Add(-f.last))
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			return f.print(cmd, configv1.NewAccessServiceClient(conn))
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.request.Workspace, "workspace", "w", "", "the workspace")
	flags.StringVar(&f.request.Actor, "actor", "", "by whom")
	flags.StringVar(&f.request.Action, "action", "", "by which call, e.g. PutIntegration")
	flags.StringVar(&f.request.Kind, "kind", "", "of what: workspace, connection, integration, content, apikey, member, operator, session, replay")
	flags.StringVar(&f.request.Target, "target", "", "of which one, by its id")
	flags.DurationVar(&f.last, "last", 30*24*time.Hour, "how far back")
	flags.Int32Var(&f.limit, "limit", 50, "how many at most")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// print follows the pages up to the limit.
func (f *auditFlags) print(cmd *cobra.Command, access configv1.AccessServiceClient) error {
	var shown int32
	for {
		f.request.PageSize = min(maxPage, f.limit-shown)
		if f.request.PageSize <= 0 {
			break
		}
		page, err := access.ListAuditEntries(cmd.Context(), &f.request)
		if err != nil {
			return err
		}
		for _, e := range page.GetEntries() {
			if err := printEntry(cmd.OutOrStdout(), e, f.asJSON); err != nil {
				return err
			}
			shown++
		}
		if f.request.PageToken = page.GetNextPageToken(); f.request.PageToken == "" {
			break
		}
	}
	if f.asJSON {
		return nil
	}
	if shown == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "None.")
		return err
	}
	return printShown(cmd.OutOrStdout(), int(shown), "")
}

func printEntry(w io.Writer, e *configv1.AuditEntry, asJSON bool) error {
	if asJSON {
		return printJSON(w, e)
	}
	line := fmt.Sprintf("%s  %s (%s)  %s  %s %s", e.GetAt().AsTime().Format(time.DateTime), e.GetActor(), e.GetRole(), e.GetAction(),
		e.GetKind(), e.GetTarget())
	if e.GetVersion() > 0 {
		line += fmt.Sprintf(", version %d", e.GetVersion())
	}
	if e.GetReason() != "" {
		line += ": " + e.GetReason()
	}
	if _, err := fmt.Fprintln(w, line); err != nil {
		return err
	}
	for _, c := range e.GetChanges() {
		if _, err := fmt.Fprintf(w, "    %s\n", changeLine(c)); err != nil {
			return err
		}
	}
	return nil
}

// changeLine tells of one field.
func changeLine(c *configv1.FieldChange) string {
	switch {
	case c.GetConcealed():
		return c.GetPath() + " changed"
	case c.GetBefore() == "":
		return c.GetPath() + ": " + c.GetAfter()
	case c.GetAfter() == "":
		return c.GetPath() + ": was " + c.GetBefore()
	}
	return c.GetPath() + ": " + c.GetBefore() + " → " + c.GetAfter()
}

// name is an enum's value as people write it.
func name(value fmt.Stringer, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(value.String(), prefix))
}
