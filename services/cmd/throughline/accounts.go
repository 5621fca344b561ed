package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
	"github.com/throughline-dev/throughline/services/internal/sheet"
)

// accountsFlags are the flags of `throughline connections` about the list of accounts.
type accountsFlags struct {
	shown, csv bool
	search     string
	columns    []string
}

func (a *accountsFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&a.shown, "accounts", false, "who made and changed them, whether we are logged in, and whether they are used")
	flags.BoolVar(&a.csv, "csv", false, "the same as CSV, for a spreadsheet")
	flags.StringVar(&a.search, "search", "", "with --accounts or --csv: only those with this in an id, a name, a user name or a login address")
	flags.StringSliceVar(&a.columns, "columns", nil, "with --accounts or --csv: only these `columns`, of "+strings.Join(columnNames(), ","))
	cmd.MarkFlagsMutuallyExclusive("csv", "json")
	cmd.MarkFlagsMutuallyExclusive("csv", "history")
}

func (a *accountsFlags) wanted() bool { return a.shown || a.csv }

// column is one of the list.
type column struct {
	name string
	of   func(a *configv1.Account) string
}

var accountColumns = []column{
	{"connection", (*configv1.Account).GetConnection},
	{"name", (*configv1.Account).GetName},
	{"environment", func(a *configv1.Account) string { return name(a.GetEnvironment(), "ENVIRONMENT_") }},
	{"account", (*configv1.Account).GetAccountName},
	{"user", (*configv1.Account).GetUsername},
	{"created", func(a *configv1.Account) string { return stamp(a.GetCreatedAt()) }},
	{"created_by", (*configv1.Account).GetCreatedBy},
	{"modified", func(a *configv1.Account) string { return stamp(a.GetModifiedAt()) }},
	{"modified_by", (*configv1.Account).GetModifiedBy},
	{"login", func(a *configv1.Account) string { return name(a.GetLogin(), "LOGIN_STATUS_") }},
	{"activity", func(a *configv1.Account) string { return name(a.GetActivity(), "ACTIVITY_STATUS_") }},
	{"integrations", func(a *configv1.Account) string { return strconv.Itoa(int(a.GetIntegrations())) }},
	{"plan", func(a *configv1.Account) string { return planText(a.GetEntitlement()) }},
}

func columnNames() []string {
	out := make([]string, len(accountColumns))
	for i, c := range accountColumns {
		out[i] = c.name
	}
	return out
}

func stamp(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339)
}

// chosen are the columns to show, in the order they were asked for.
func (a *accountsFlags) chosen() ([]column, error) {
	if len(a.columns) == 0 {
		return accountColumns, nil
	}
	var out []column
	for _, wanted := range a.columns {
		found := false
		for _, c := range accountColumns {
			if c.name == wanted {
				out, found = append(out, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("--columns: there is no %q; there are %s", wanted, strings.Join(columnNames(), ", "))
		}
	}
	return out, nil
}

func (a *accountsFlags) show(ctx context.Context, conn *grpc.ClientConn, f connectionsFlags, w io.Writer) error {
	columns, err := a.chosen()
	if err != nil {
		return err
	}
	resp, err := configv1.NewConnectionListServiceClient(conn).ListAccounts(ctx, &configv1.ListAccountsRequest{Workspace: f.workspace, Search: a.search})
	if err != nil {
		return err
	}
	if f.asJSON {
		return printAllJSON(w, resp.GetAccounts())
	}
	header, rows := make([]string, len(columns)), make([][]string, len(resp.GetAccounts()))
	for i, c := range columns {
		header[i] = c.name
	}
	for n, account := range resp.GetAccounts() {
		rows[n] = make([]string, len(columns))
		for i, c := range columns {
			rows[n][i] = c.of(account)
		}
	}
	if a.csv {
		return sheet.Write(w, header, rows)
	}
	t := screen.NewTable(w, cells(header)...)
	for _, row := range rows {
		t.AppendRow(cells(row))
	}
	t.Render()
	return nil
}

func cells(texts []string) screen.Row {
	row := make(screen.Row, len(texts))
	for i, text := range texts {
		row[i] = text
	}
	return row
}

func newDependants() *cobra.Command {
	var c call
	cmd := &cobra.Command{
		Use:     "dependants <connection>",
		Short:   "The integrations that write through a connection",
		Example: `  throughline connections dependants --workspace acme production`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewConnectionListServiceClient(conn).ListDependants(ctx, &configv1.ListDependantsRequest{
					Workspace: c.workspace, Connection: args[0],
				})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printAllJSON(cmd.OutOrStdout(), resp.GetDependants())
				}
				printDependants(cmd.OutOrStdout(), resp.GetDependants())
				return nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func printDependants(w io.Writer, dependants []*configv1.Dependant) {
	t := screen.NewTable(w, "integration", "name", "is")
	for _, d := range dependants {
		is := "off"
		switch {
		case d.GetEnabled():
			is = "on"
		case d.GetSuspended():
			is = "off with the connection"
		}
		t.AppendRow(screen.Row{d.GetIntegration(), d.GetName(), is})
	}
	t.Render()
}

func newRestore() *cobra.Command {
	var c call
	var req configv1.RestoreIntegrationsRequest
	var none bool
	cmd := &cobra.Command{
		Use:   "restore <connection>",
		Short: "Switch on again what went off when the connection was disconnected",
		Long: `Switches integrations on again that went off with their connection: all, some, or none. Those that are not chosen stay off,
and are not offered again. What happened meanwhile is not made up for.`,
		Example: `  throughline connections restore --workspace acme production --all
  throughline connections restore --workspace acme production --only close-task,video-rows
  throughline connections restore --workspace acme production --none`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !req.GetAll() && !none && len(req.GetIntegrations()) == 0 {
				return errors.New("say which: --all, --only or --none")
			}
			req.Workspace, req.Connection = c.workspace, args[0]
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewConnectionListServiceClient(conn).RestoreIntegrations(ctx, &req)
				if err != nil {
					return err
				}
				return printRestored(cmd.OutOrStdout(), resp, c.asJSON)
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().BoolVar(&req.All, "all", false, "all of them")
	cmd.Flags().StringSliceVar(&req.Integrations, "only", nil, "only these `integrations`")
	cmd.Flags().BoolVar(&none, "none", false, "none: they stay off")
	cmd.MarkFlagsMutuallyExclusive("all", "only", "none")
	return cmd
}

func printRestored(w io.Writer, resp *configv1.RestoreIntegrationsResponse, asJSON bool) error {
	if asJSON {
		if err := printJSON(w, resp); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "✓ %d integrations are on again\n", len(resp.GetRestored()))
	}
	var errs []error
	for _, n := range resp.GetNotRestored() {
		errs = append(errs, fmt.Errorf("%s is still off: %s", n.GetIntegration(), n.GetProblem()))
	}
	return errors.Join(errs...)
}

func newDeleteConnection() *cobra.Command {
	var c call
	var confirmed bool
	cmd := &cobra.Command{
		Use:   "delete <connection>",
		Short: "Disconnect a connection and delete it",
		Long: `Disconnects the org on both sides and deletes the connection. Integrations that write through it are named first, and it takes
--confirm to delete it all the same: they stay, switched off, until they are moved to another connection. The id is not used
again.`,
		Example: `  throughline connections delete --workspace acme old-uat
  throughline connections delete --workspace acme production --confirm`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd, func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := configv1.NewConnectionListServiceClient(conn).DeleteConnection(ctx, &configv1.DeleteConnectionRequest{
					Workspace: c.workspace, Connection: args[0], Confirmed: confirmed,
				})
				if err != nil {
					return err
				}
				if c.asJSON {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "✓ %s is deleted; %d integrations stay, switched off\n", args[0], len(resp.GetDependants()))
				return nil
			})
		},
	}
	c.changing(cmd)
	cmd.Flags().BoolVar(&confirmed, "confirm", false, "delete it although integrations depend on it")
	return cmd
}
