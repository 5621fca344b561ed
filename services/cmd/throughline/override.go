package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// overrideFlags are the flags of `throughline override`.
type overrideFlags struct {
	request       configv1.OverrideStateRequest
	state, reason string
	hold          time.Duration
}

func newOverride() *cobra.Command {
	var t target
	var f overrideFlags
	cmd := &cobra.Command{
		Use:     "override --workspace <id> <connection> --state <state> --note <why>",
		GroupID: "look",
		Short:   "Set a connection's state by an operator's decision, on the record",
		Long: `Sets READY, DEGRADED or REVOKED against what diagnosis finds, for as long as --hold says. Only changes are made that a connection
can go through: nobody's decision brings a dead token back. Who decided it and why is in the connection's history. For operators:
administrators of all workspaces.`,
		Example: `  throughline override --workspace acme production --state ready --note "edition agreed by contract 12" --hold 720h
  throughline override --workspace acme production --state degraded --reason SF_APP_BLOCKED --note "keep writes back during their migration"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.request.Connection = args[0]
			if err := f.fill(); err != nil {
				return err
			}
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			return f.run(cmd.Context(), configv1.NewConnectServiceClient(conn), cmd.OutOrStdout())
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.request.Workspace, "workspace", "w", "", "the workspace")
	flags.StringVar(&f.state, "state", "", "ready, degraded or revoked")
	flags.StringVar(&f.reason, "reason", "", "reason code for degraded, e.g. SF_APP_BLOCKED")
	flags.StringVar(&f.request.Note, "note", "", "why")
	flags.DurationVar(&f.hold, "hold", 24*time.Hour, "how long diagnosis does not change it, up to 720h")
	for _, name := range []string{"workspace", "state", "note"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return cmd
}

// fill turns flags into the request.
func (f *overrideFlags) fill() error {
	state, ok := configv1.ConnectionState_value["CONNECTION_STATE_"+strings.ToUpper(f.state)]
	if !ok {
		return fmt.Errorf("--state: %q is not ready, degraded or revoked", f.state)
	}
	f.request.State, f.request.Hold = configv1.ConnectionState(state), durationpb.New(f.hold)
	if f.reason == "" {
		return nil
	}
	reason, ok := streamv1.Reason_value["REASON_"+strings.ToUpper(f.reason)]
	if !ok {
		return fmt.Errorf("--reason: there is no %q", f.reason)
	}
	f.request.Reason = streamv1.Reason(reason)
	return nil
}

func (f *overrideFlags) run(ctx context.Context, service configv1.ConnectServiceClient, w io.Writer) error {
	resp, err := service.OverrideState(ctx, &f.request)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "✓ %s is %s until %s, whatever diagnosis finds\n", f.request.GetConnection(), stateText(resp.GetStatus()),
		resp.GetStatus().GetHeldUntil().AsTime().Format("2006-01-02 15:04"))
	return err
}
