package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// reasonHeader carries why something is changed, for the history and the audit log.
const reasonHeader = "throughline-reason-bin"

// call is a command that makes calls about one workspace.
type call struct {
	target

	workspace string
	why       string
	asJSON    bool
}

// flags registers what every such command takes.
func (c *call) flags(cmd *cobra.Command) {
	c.register(cmd)
	cmd.Flags().StringVarP(&c.workspace, "workspace", "w", "", "the workspace")
	cmd.Flags().BoolVar(&c.asJSON, "json", false, "print one JSON object a line")
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
}

// changing registers what every such command takes that changes something.
func (c *call) changing(cmd *cobra.Command) {
	c.flags(cmd)
	cmd.Flags().StringVar(&c.why, "why", "", "why, for the history and the audit log")
}

// do connects and makes the calls.
func (c *call) do(cmd *cobra.Command, f func(ctx context.Context, conn *grpc.ClientConn) error) error {
	_, conn, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return f(because(cmd.Context(), c.why), conn)
}

// because says why with every call.
func because(ctx context.Context, why string) context.Context {
	if why == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, reasonHeader, why)
}

// printJSON prints a message on a line of its own.
func printJSON(w io.Writer, m proto.Message) error {
	data, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(json.RawMessage(data))
}

// printAllJSON prints messages line by line.
func printAllJSON[M proto.Message](w io.Writer, all []M) error {
	for _, m := range all {
		if err := printJSON(w, m); err != nil {
			return err
		}
	}
	return nil
}
