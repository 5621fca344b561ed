package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// workspacesFlags are the flags of `throughline workspaces`.
type workspacesFlags struct {
	target

	trouble bool
	asJSON  bool
}

func newWorkspaces() *cobra.Command {
	var f workspacesFlags
	cmd := &cobra.Command{
		Use:     "workspaces",
		GroupID: "look",
		Short:   "Which workspaces there are, where their connections stand, and how much is in their way",
		Example: `  throughline workspaces
  throughline workspaces --trouble          # only those with something in their way
  throughline workspaces --json | jq -r .workspace.id`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.trouble, "trouble", false, "only workspaces with something in their way")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// overview is where a workspace stands.
type overview struct {
	workspace   *configv1.Workspace
	connections map[string]int
	notices     int
}

func (f *workspacesFlags) run(cmd *cobra.Command) error {
	_, conn, err := f.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	all, err := configv1.NewConfigServiceClient(conn).ListWorkspaces(cmd.Context(), &configv1.ListWorkspacesRequest{})
	if err != nil {
		return err
	}
	var overviews []overview
	for _, w := range all.GetWorkspaces() {
		s, err := overviewOf(cmd.Context(), conn, w)
		if err != nil {
			return fmt.Errorf("workspace %s: %w", w.GetId(), err)
		}
		if s.notices > 0 || !f.trouble {
			overviews = append(overviews, s)
		}
	}
	if f.asJSON {
		return printOverviewsJSON(cmd, overviews)
	}
	t := screen.NewTable(cmd.OutOrStdout(), "workspace", "name", "language", "connections", "in the way")
	if f.trouble {
		t.WhenEmpty("Nothing is in the way of any workspace.")
	}
	for _, s := range overviews {
		var states []string
		for _, state := range slices.Sorted(maps.Keys(s.connections)) {
			states = append(states, fmt.Sprintf("%d %s", s.connections[state], state))
		}
		trouble := ""
		if s.notices > 0 {
			trouble = fmt.Sprintf("%d: throughline notices --workspace %s", s.notices, s.workspace.GetId())
		}
		t.AppendRow(screen.Row{s.workspace.GetId(), s.workspace.GetName(), s.workspace.GetLanguage(), strings.Join(states, ", "), trouble})
	}
	t.Render()
	return nil
}

func overviewOf(ctx context.Context, conn *grpc.ClientConn, w *configv1.Workspace) (overview, error) {
	s := overview{workspace: w, connections: map[string]int{}}
	connections, err := configv1.NewConfigServiceClient(conn).ListConnections(ctx, &configv1.ListConnectionsRequest{Workspace: w.GetId()})
	if err != nil {
		return s, err
	}
	for _, c := range connections.GetConnections() {
		s.connections[stateText(c.GetStatus())]++
	}
	notices, err := configv1.NewNoticeServiceClient(conn).ListNotices(ctx, &configv1.ListNoticesRequest{Workspace: w.GetId()})
	s.notices = len(notices.GetNotices())
	return s, err
}

func printOverviewsJSON(cmd *cobra.Command, overviews []overview) error {
	out := json.NewEncoder(cmd.OutOrStdout())
	for _, s := range overviews {
		workspace, err := protojson.Marshal(s.workspace)
		if err != nil {
			return err
		}
		err = out.Encode(struct {
			Workspace   json.RawMessage `json:"workspace"`
			Connections map[string]int  `json:"connections"`
			Notices     int             `json:"notices"`
		}{workspace, s.connections, s.notices})
		if err != nil {
			return err
		}
	}
	return nil
}
