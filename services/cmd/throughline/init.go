package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/services/app"
)

func newInit() *cobra.Command {
	var src sources
	cmd := &cobra.Command{
		Use:     "init",
		GroupID: "serve",
		Short:   "Make keys, tokens and topics, once",
		Long: `Makes what must exist before services start: the installation's key, a token for services and one for administrators, and the
pipeline's topics. What exists already is left alone, so it may run at every deployment.

Keep a copy of the installation's key: without it, sealed credentials and personal data cannot be read again.`,
		Example: "  throughline init --config throughline.yaml\n  throughline init --set kafka.brokers=[localhost:9092] --set topics.partitions=24",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := src.load()
			if err != nil {
				return err
			}
			return app.Prepare(cmd.Context(), cfg, func(step string) { fmt.Fprintln(cmd.OutOrStdout(), step) })
		},
	}
	src.register(cmd)
	return cmd
}
