package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/services/simulator"
)

func newSimulate() *cobra.Command {
	cfg := simulator.DefaultConfig()
	cmd := &cobra.Command{
		Use:     "simulate",
		GroupID: "try",
		Short:   "Run the Salesforce simulator alone",
		Long: `Serves one or several simulated Salesforce orgs: OAuth, describe, SOQL, CRUD, Collections, limits, duplicate rules, row locks and
scripted faults, with a page per record. docs/simulator.md describes the scenario file and the control API under /_sim/.`,
		Example: `  throughline simulate --scenario orgs.yaml
  throughline simulate --listen :8700 --dir data/salesforce --scenario orgs.yaml
  throughline simulate --scenario orgs.yaml --dir data --tls
  curl -X POST --data-binary @orgs.yaml http://127.0.0.1:8700/_sim/scenario`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sim, err := simulator.New(cfg, simulator.Deps{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
			if err != nil {
				return err
			}
			if err := sim.Listen(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Salesforce simulator: %s\n", sim.Origin())
			if addr := sim.PubSubAddr(); addr != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "Pub/Sub API: %s\n", addr)
			}
			return sim.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&cfg.Listen, "listen", cfg.Listen, "address to serve on")
	cmd.Flags().StringVar(&cfg.Dir, "dir", cfg.Dir, "`folder` that keeps the orgs; empty keeps them in memory")
	cmd.Flags().StringVar(&cfg.Scenario, "scenario", "", "YAML `file` with orgs to make, unless they exist already")
	cmd.Flags().StringVar(&cfg.DefaultOrg, "default-org", "", "org that answers requests which name none; default: the first")
	cmd.Flags().BoolVar(&cfg.TLS.Enabled, "tls", false, "serve https; clients must trust tls/ca.pem in --dir, or --tls-cert is theirs already")
	cmd.Flags().StringVar(&cfg.TLS.Cert, "tls-cert", "", "PEM `file` with the certificate for --tls")
	cmd.Flags().StringVar(&cfg.TLS.Key, "tls-key", "", "PEM `file` with the certificate's key")
	cmd.Flags().StringVar(&cfg.PubSub, "pubsub", "", "`address` of the Pub/Sub API with change events, gRPC, with TLS if --tls: 127.0.0.1:8701")
	return cmd
}
