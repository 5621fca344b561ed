package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// connectionsFlags are the flags of `throughline connections`.
type connectionsFlags struct {
	workspace, history string
	limit              int32
	asJSON             bool
	accounts           accountsFlags
}

func newConnections() *cobra.Command {
	var t target
	var f connectionsFlags
	cmd := &cobra.Command{
		Use:     "connections --workspace <id>",
		GroupID: "look",
		Short:   "Where a workspace's connections stand, and how they got there",
		Example: `  throughline connections --workspace acme
  throughline connections --workspace acme --history production
  throughline connections --workspace acme --json
  throughline connections --workspace acme --accounts --search hana@
  throughline connections --workspace acme --csv > accounts.csv
  throughline connections dependants --workspace acme production
  throughline connections restore --workspace acme production --all   # what went off when it was disconnected
  throughline connections delete --workspace acme old-uat`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			if f.history != "" {
				return f.printHistory(cmd.Context(), configv1.NewConnectServiceClient(conn), cmd.OutOrStdout())
			}
			if f.accounts.wanted() {
				return f.accounts.show(cmd.Context(), conn, f, cmd.OutOrStdout())
			}
			return f.list(cmd.Context(), conn, cmd.OutOrStdout())
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.workspace, "workspace", "w", "", "the workspace")
	flags.StringVar(&f.history, "history", "", "the changes of state of this `connection`, newest first")
	flags.Int32Var(&f.limit, "limit", 50, "how many changes at most, up to 1000")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	f.accounts.register(cmd)
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
	cmd.AddCommand(newDependants(), newRestore(), newDeleteConnection())
	return cmd
}

func (f *connectionsFlags) list(ctx context.Context, conn grpc.ClientConnInterface, w io.Writer) error {
	resp, err := configv1.NewConfigServiceClient(conn).ListConnections(ctx, &configv1.ListConnectionsRequest{Workspace: f.workspace})
	if err != nil {
		return err
	}
	if f.asJSON {
		return printAllJSON(w, resp.GetConnections())
	}
	t := screen.NewTable(w, "connection", "name", "org", "environment", "state", "since", "by")
	for _, c := range resp.GetConnections() {
		org, where := "", ""
		if c.GetOrg() != nil {
			org, where = strings.TrimSpace(c.GetOrg().GetName()+" "+c.GetOrg().GetId()), environment(c.GetOrg())
		}
		t.AppendRow(screen.Row{c.GetId(), c.GetName(), org, where, stateText(c.GetStatus()), sinceText(c.GetStatus()), c.GetStatus().GetActor()})
	}
	t.Render()
	return nil
}

func (f *connectionsFlags) printHistory(ctx context.Context, service configv1.ConnectServiceClient, w io.Writer) error {
	resp, err := service.ListConnectionHistory(ctx, &configv1.ListConnectionHistoryRequest{
		Workspace: f.workspace, Connection: f.history, Limit: f.limit,
	})
	if err != nil {
		return err
	}
	if f.asJSON {
		return printAllJSON(w, resp.GetChanges())
	}
	t := screen.NewTable(w, "when", "from", "to", "cause", "by")
	for _, c := range resp.GetChanges() {
		by := c.GetTo().GetActor()
		if c.GetManual() {
			by += " (override)"
		}
		t.AppendRow(screen.Row{sinceText(c.GetTo()), stateName(c.GetFrom()), stateText(c.GetTo()), c.GetTo().GetCause(), by})
	}
	t.Render()
	return nil
}

func stateName(s configv1.ConnectionState) string {
	if s == configv1.ConnectionState_CONNECTION_STATE_UNSPECIFIED {
		return "–"
	}
	return strings.TrimPrefix(s.String(), "CONNECTION_STATE_")
}

// stateText is the state with its reason, as the catalogue writes them.
func stateText(s *configv1.ConnectionStatus) string {
	if s.GetReason() == streamv1.Reason_REASON_UNSPECIFIED {
		return stateName(s.GetState())
	}
	return fmt.Sprintf("%s(%s)", stateName(s.GetState()), strings.TrimPrefix(s.GetReason().String(), "REASON_"))
}

func sinceText(s *configv1.ConnectionStatus) string {
	if s.GetSince() == nil {
		return ""
	}
	return s.GetSince().AsTime().Format("2006-01-02 15:04:05")
}

// disconnectFlags are the flags of `throughline disconnect`.
type disconnectFlags struct {
	workspace        string
	forgetApp        bool
	keepIntegrations bool
	asJSON           bool
}

func newDisconnect() *cobra.Command {
	var t target
	var f disconnectFlags
	cmd := &cobra.Command{
		Use:     "disconnect --workspace <id> <connection>",
		GroupID: "look",
		Short:   "Forget an org's tokens and revoke them at Salesforce",
		Long: `Ends the connection's authorisation on both sides. Its integrations go off: nothing is written of what happens from then on,
until the org is connected again and they are restored. With --keep-integrations they stay on, and what they make waits for the
org. Settings, rules and what is parked stay either way. If Salesforce cannot be reached, the tokens are forgotten all the same
and revoked as soon as it can.`,
		Example: `  throughline disconnect --workspace acme production
  throughline disconnect --workspace acme production --keep-integrations   # for a short while: nothing shall be missed
  throughline disconnect --workspace acme production --forget-app   # the consumer key and secret too`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			return f.run(cmd.Context(), configv1.NewConnectServiceClient(conn), args[0], cmd.OutOrStdout())
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.workspace, "workspace", "w", "", "the workspace")
	flags.BoolVar(&f.keepIntegrations, "keep-integrations", false, "leave its integrations on; what they make waits")
	flags.BoolVar(&f.forgetApp, "forget-app", false, "forget the consumer key and secret too")
	flags.BoolVar(&f.asJSON, "json", false, "print a JSON object")
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
	return cmd
}

func (f *disconnectFlags) run(ctx context.Context, service configv1.ConnectServiceClient, connection string, w io.Writer) error {
	resp, err := service.Disconnect(ctx, &configv1.DisconnectRequest{Workspace: f.workspace, Connection: connection, ForgetApp: f.forgetApp, KeepIntegrations: f.keepIntegrations})
	if err != nil {
		return err
	}
	if f.asJSON {
		return printAllJSON(w, []*configv1.DisconnectResponse{resp})
	}
	text := "✓ %s is disconnected: its tokens are forgotten here and revoked at Salesforce\n"
	if !resp.GetRevoked() {
		text = "✓ %s is disconnected: its tokens are forgotten here; Salesforce could not be reached and will be told later\n"
	}
	fmt.Fprintf(w, text, connection)
	if n := len(resp.GetSuspended()); n > 0 {
		fmt.Fprintf(w, "%d integrations went off with it (%s); once it is connected again: throughline connections restore --workspace %s %s --all\n",
			n, strings.Join(resp.GetSuspended(), ", "), f.workspace, connection)
	}
	return nil
}
