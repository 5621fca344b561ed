package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

func newTrace() *cobra.Command {
	var t target
	var query trace.Query
	var since string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "trace <event-id>",
		GroupID: "look",
		Short:   "The whole way of one event: every stage, decision, request and answer",
		Long: `Finds an event and follows it: the activity it became, the visit, the totals, the people considered and who was chosen by
which rule, what was written by which version of which integration, and what Salesforce answered.

A UUIDv7 carries its time, so it is found at once. For another kind of id, say from when on to look.`,
		Example: `  throughline trace --workspace acme 0199d5a2-7c1e-7e61-a3c5-2f4f2f0c9d11
  throughline trace --workspace acme --since 2026-11-23T09:00:00Z order-4711
  throughline trace --workspace acme --json 0199d5a2-… | jq .outcomes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query.EventID = args[0]
			if since != "" {
				at, err := time.Parse(time.RFC3339, since)
				if err != nil {
					return fmt.Errorf("--since: want a time such as 2026-11-23T09:00:00Z: %w", err)
				}
				query.Since = at
			}
			cfg, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			client, err := kafka.New(cfg.Kafka, kafka.Deps{})
			if err != nil {
				return err
			}
			defer client.Close()
			finder := &trace.Finder{Log: app.TopicLog{Client: client}, Outcomes: configv1.NewConfigServiceClient(conn)}
			journey, err := finder.Find(cmd.Context(), query)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(journey)
			} else {
				journey.Render(cmd.OutOrStdout())
			}
			if err == nil && !journey.Found() {
				err = noSuchEvent(cmd.Context(), conn, query.Workspace)
			}
			return err
		},
	}
	t.register(cmd)
	cmd.Flags().StringVarP(&query.Workspace, "workspace", "w", "", "the workspace the event belongs to")
	cmd.Flags().StringVar(&since, "since", "", "from when on to look, RFC 3339; default: the time a UUIDv7 carries, else everything")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for machines")
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
	return cmd
}

var errNotFound = errors.New("no such event")

// noSuchEvent says why nothing is known of an event: its workspace may be misspelt. Config may be away: Kafka knows nothing all the same.
func noSuchEvent(ctx context.Context, conn grpc.ClientConnInterface, workspace string) error {
	_, err := configv1.NewConfigServiceClient(conn).GetWorkspace(ctx, &configv1.GetWorkspaceRequest{Workspace: workspace})
	if status.Code(err) == codes.NotFound {
		return err
	}
	return errNotFound
}
