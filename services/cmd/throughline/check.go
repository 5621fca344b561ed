package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// checkFlags are the flags of `throughline check`.
type checkFlags struct {
	workspace string
	accept    bool
	asJSON    bool
}

func newCheck() *cobra.Command {
	var t target
	var f checkFlags
	cmd := &cobra.Command{
		Use:     "check --workspace <id> [connection]...",
		GroupID: "look",
		Short:   "Ask the orgs behind connections who they are",
		Long: `Signs in to the org of each connection, all of the workspace's when none is named, and notes what the org says of itself.
From then on the connection is for that org only: credentials that lead to another one are refused, so that what is meant for
a sandbox never reaches production, nor the reverse. A sandbox that was refreshed is another org; accept it if you mean it.`,
		Example: `  throughline check --workspace acme
  throughline check --workspace acme production --json
  throughline check --workspace acme sandbox --accept-other-org   # after a sandbox refresh`,
		RunE: func(cmd *cobra.Command, connections []string) error {
			if f.accept && len(connections) == 0 {
				return errors.New("--accept-other-org: name the connection whose org is another one now")
			}
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			return f.run(cmd.Context(), configv1.NewConfigServiceClient(conn), connections, cmd.OutOrStdout())
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.workspace, "workspace", "w", "", "the workspace")
	flags.BoolVar(&f.accept, "accept-other-org", false, "take the org that the credentials lead to, although it was another one")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
	return cmd
}

// checked is what came of one connection.
type checked struct {
	connection string
	org        *configv1.Org
	err        error
}

func (f *checkFlags) run(ctx context.Context, config configv1.ConfigServiceClient, connections []string, w io.Writer) error {
	if len(connections) == 0 {
		all, err := config.ListConnections(ctx, &configv1.ListConnectionsRequest{Workspace: f.workspace})
		if err != nil {
			return err
		}
		for _, c := range all.GetConnections() {
			connections = append(connections, c.GetId())
		}
	}
	results := make([]checked, len(connections))
	failed := 0
	for i, id := range connections {
		answer, err := config.CheckConnection(ctx, &configv1.CheckConnectionRequest{
			Workspace: f.workspace, Connection: id, AcceptOtherOrg: f.accept,
		})
		results[i] = checked{connection: id, org: answer.GetOrg(), err: err}
		if err != nil {
			failed++
		}
	}
	if err := f.print(w, results); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d connections of workspace %s cannot be used", failed, len(results), f.workspace)
	}
	return nil
}

func (f *checkFlags) print(w io.Writer, results []checked) error {
	if f.asJSON {
		for _, r := range results {
			org, err := protojson.Marshal(r.org)
			if err != nil {
				return err
			}
			line := struct {
				Connection string          `json:"connection"`
				Org        json.RawMessage `json:"org,omitempty"`
				Error      string          `json:"error,omitempty"`
			}{Connection: r.connection, Org: org}
			if r.err != nil {
				line.Org, line.Error = nil, status.Convert(r.err).Message()
			}
			if err := json.NewEncoder(w).Encode(line); err != nil {
				return err
			}
		}
		return nil
	}
	t := screen.NewTable(w, "connection", "org", "id", "edition", "environment", "time zone")
	for _, r := range results {
		if r.err != nil {
			t.AppendRow(screen.Row{r.connection, "✗ " + status.Convert(r.err).Message()})
			continue
		}
		t.AppendRow(screen.Row{r.connection, "✓ " + r.org.GetName(), r.org.GetId(), r.org.GetEdition(), environment(r.org), r.org.GetTimeZone()})
	}
	t.Render()
	return nil
}

func environment(org *configv1.Org) string {
	if org.GetSandbox() {
		return "sandbox"
	}
	return "production"
}
