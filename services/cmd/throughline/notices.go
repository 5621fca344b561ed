package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

func newNotices() *cobra.Command {
	var c call
	var ended bool
	cmd := &cobra.Command{
		Use:     "notices",
		GroupID: "look",
		Short:   "What is in the way of a workspace, and who is told of it",
		Long: `Lists connections that cannot be used, integrations and report pushes that do not fit their org any more, and report pushes whose last
run went wrong, with what to do, how many writes wait and how long they still do. Recipients are told of the same once a day at most; notices quiet ends that for a while.`,
		Example: `  throughline notices --workspace acme
  throughline notices --workspace acme --ended --json
  throughline notices quiet --workspace acme 3f2a9c0d11e07b54 --for 72h --why "maintenance until Monday"
  throughline notices recipients --workspace acme
  throughline notices tell --workspace acme ops --email ops@acme.example
  THROUGHLINE_HOOK_SECRET=… throughline notices tell --workspace acme pager --webhook https://pager.acme.example/in
  throughline notices test --workspace acme ops
  throughline notices forget --workspace acme ops`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				answer, err := configv1.NewNoticeServiceClient(conn).ListNotices(ctx, &configv1.ListNoticesRequest{Workspace: c.workspace, Ended: ended})
				if err != nil {
					return err
				}
				return printNotices(cmd.OutOrStdout(), answer.GetNotices(), c.asJSON)
			})
		},
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&ended, "ended", false, "also what was in the way within 30 days")
	cmd.AddCommand(newNoticesQuiet(), newNoticesRecipients(), newNoticesTell(), newNoticesTest(), newNoticesForget())
	return cmd
}

func printNotices(w io.Writer, notices []*configv1.Notice, asJSON bool) error {
	if asJSON {
		return printAllJSON(w, notices)
	}
	if len(notices) == 0 {
		_, err := fmt.Fprintln(w, "Nothing is in the way.")
		return err
	}
	t := screen.NewTable(w, "id", "about", "since", "waiting", "problem").WrapAt(90)
	for _, n := range notices {
		t.AppendRow(screen.Row{n.GetId(), aboutOf(n), sinceOf(n), waitingOf(n), n.GetTextEn()})
		t.AppendSeparator()
	}
	t.Render()
	return nil
}

func aboutOf(n *configv1.Notice) string {
	if n.GetKind() == configv1.NoticeKind_NOTICE_KIND_INTEGRATION {
		return "integration " + n.GetIntegration() + "\n" + text.FgYellow.Sprint(name(n.GetReason(), "REASON_"))
	}
	if n.GetReportPush() != "" {
		why := name(n.GetReason(), "REASON_")
		if n.GetTrouble() != configv1.RunTrouble_RUN_TROUBLE_UNSPECIFIED {
			why = "run " + n.GetRun() + ": " + name(n.GetTrouble(), "RUN_TROUBLE_")
		}
		return "report push " + n.GetReportPush() + "\n" + text.FgYellow.Sprint(why)
	}
	return "connection " + n.GetConnection() + "\n" + text.FgRed.Sprint(name(n.GetState(), "CONNECTION_STATE_"), " ", name(n.GetReason(), "REASON_"))
}

func sinceOf(n *configv1.Notice) string {
	const minute = "2006-01-02 15:04"
	since := n.GetBeganAt().AsTime().Format(minute)
	if n.GetEndedAt() != nil {
		return since + "\nuntil " + n.GetEndedAt().AsTime().Format(minute)
	}
	if n.GetQuietUntil() != nil {
		since += "\nquiet until " + n.GetQuietUntil().AsTime().Format(minute) + " (" + n.GetQuietBy() + ")"
	}
	return since
}

func waitingOf(n *configv1.Notice) string {
	if n.GetParked() == 0 {
		return ""
	}
	if n.GetParkedUntil() == nil {
		return fmt.Sprintf("%d or more", n.GetParked())
	}
	left := time.Until(n.GetParkedUntil().AsTime()).Round(time.Hour)
	return fmt.Sprintf("%d, the oldest for %s more", n.GetParked(), left)
}

func newNoticesQuiet() *cobra.Command {
	var c call
	var length time.Duration
	cmd := &cobra.Command{
		Use:     "quiet NOTICE",
		Short:   "Tell nobody of a notice for a while",
		Example: `  throughline notices quiet --workspace acme 3f2a9c0d11e07b54 --for 72h --why "maintenance until Monday"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				req := &configv1.QuietNoticeRequest{Workspace: c.workspace, Notice: args[0]}
				if length > 0 {
					req.Until = timestamppb.New(time.Now().Add(length))
				}
				answer, err := configv1.NewNoticeServiceClient(conn).QuietNotice(ctx, req)
				if err != nil {
					return err
				}
				return printNotices(cmd.OutOrStdout(), []*configv1.Notice{answer.GetNotice()}, c.asJSON)
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().DurationVar(&length, "for", 24*time.Hour, "how long, up to 720h; 0 has people told again")
	return cmd
}

func newNoticesRecipients() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "recipients",
		Short:   "Who is told",
		Example: `  throughline notices recipients --workspace acme --json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				answer, err := configv1.NewNoticeServiceClient(conn).ListNoticeRecipients(ctx, &configv1.ListNoticeRecipientsRequest{Workspace: c.workspace})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), answer.GetRecipients())
				}
				t := screen.NewTable(cmd.OutOrStdout(), "id", "channel", "language")
				for _, r := range answer.GetRecipients() {
					t.AppendRow(screen.Row{r.GetId(), channelOf(r), r.GetLanguage()})
				}
				t.Render()
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func channelOf(r *configv1.NoticeRecipient) string {
	switch r.GetChannel().(type) {
	case *configv1.NoticeRecipient_Email:
		return "mail"
	case *configv1.NoticeRecipient_Slack:
		return "Slack"
	case *configv1.NoticeRecipient_Webhook:
		return "webhook"
	}
	return ""
}

// hookSecretVariable holds a webhook's secret, which must not stand in a shell's history.
const hookSecretVariable = "THROUGHLINE_HOOK_SECRET"

func newNoticesTell() *cobra.Command {
	var c call
	var email, slack, webhook, language string
	cmd := &cobra.Command{
		Use:   "tell RECIPIENT",
		Short: "Have somebody told, by mail, in Slack or by a webhook",
		Long: `Saves a recipient, or changes the address or the language of one. Addresses cannot be read again. A webhook's requests are signed with the
secret in THROUGHLINE_HOOK_SECRET: the header Throughline-Signature is t=<seconds>,v1=<HMAC-SHA256 of "<t>.<body>", in hex>.`,
		Example: `  throughline notices tell --workspace acme ops --email ops@acme.example --language ja
  THROUGHLINE_HOOK_SECRET=… throughline notices tell --workspace acme pager --webhook https://pager.acme.example/in`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := &configv1.NoticeRecipient{Workspace: c.workspace, Id: args[0], Language: language}
			switch {
			case email != "":
				r.Channel = &configv1.NoticeRecipient_Email{Email: &configv1.EmailChannel{Address: email}}
			case slack != "":
				r.Channel = &configv1.NoticeRecipient_Slack{Slack: &configv1.SlackChannel{WebhookUrl: slack}}
			case webhook != "":
				secret := os.Getenv(hookSecretVariable)
				if secret == "" {
					return errors.New("put the webhook's secret into " + hookSecretVariable)
				}
				r.Channel = &configv1.NoticeRecipient_Webhook{Webhook: &configv1.WebhookChannel{Url: webhook, Secret: secret}}
			}
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				return saveRecipient(ctx, cmd.OutOrStdout(), conn, r)
			})
		},
	}
	c.changing(cmd)
	flags := cmd.Flags()
	flags.StringVar(&email, "email", "", "a mailbox's `address`")
	flags.StringVar(&slack, "slack", "", "`address` of an incoming webhook: https://hooks.slack.com/services/…")
	flags.StringVar(&webhook, "webhook", "", "https `address` of a program of yours")
	flags.StringVar(&language, "language", "", "ja or en; default: the workspace's")
	cmd.MarkFlagsMutuallyExclusive("email", "slack", "webhook")
	return cmd
}

func saveRecipient(ctx context.Context, w io.Writer, conn *grpc.ClientConn, r *configv1.NoticeRecipient) error {
	client := configv1.NewNoticeServiceClient(conn)
	known, err := client.ListNoticeRecipients(ctx, &configv1.ListNoticeRecipientsRequest{Workspace: r.GetWorkspace()})
	if err != nil {
		return err
	}
	for _, k := range known.GetRecipients() {
		if k.GetId() == r.GetId() {
			r.Version = k.GetVersion()
		}
	}
	if _, err := client.PutNoticeRecipient(ctx, &configv1.PutNoticeRecipientRequest{Recipient: r}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s is told. Try it: throughline notices test --workspace %s %s\n", r.GetId(), r.GetWorkspace(), r.GetId())
	return err
}

func newNoticesTest() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "test RECIPIENT",
		Short:   "Send a message that says it is a test",
		Example: `  throughline notices test --workspace acme ops`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				_, err := configv1.NewNoticeServiceClient(conn).TestNoticeRecipient(ctx, &configv1.TestNoticeRecipientRequest{Workspace: c.workspace, Recipient: args[0]})
				if err == nil {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), "sent")
				}
				return err
			})
		},
	}
	c.changing(cmd)
	return cmd
}

func newNoticesForget() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "forget RECIPIENT…",
		Short:   "Tell somebody no more, and forget the address",
		Example: `  throughline notices forget --workspace acme ops --why "has left"`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				for _, id := range args {
					_, err := configv1.NewNoticeServiceClient(conn).RemoveNoticeRecipient(ctx, &configv1.RemoveNoticeRecipientRequest{Workspace: c.workspace, Recipient: id})
					if err != nil {
						return err
					}
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "forgotten: "+strings.Join(args, ", "))
				return err
			})
		},
	}
	c.changing(cmd)
	return cmd
}
