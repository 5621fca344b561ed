package main

import (
	"encoding/json"
	"os"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/bench/writerbench"
)

func newBenchDrain() *cobra.Command {
	cfg := writerbench.DefaultDrainConfig()
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "The writer service against a file of records and an org that runs already, to compare with other clients",
		Long: `Puts the records into an embedded Kafka and lets the writer service upsert them: the time is from before the first is produced
until the last outcome is read. It prints one JSON object. The client secret is read from THROUGHLINE_BENCH_CLIENT_SECRET.
deploy/peers/run.sh runs other clients against the same simulator beside it.`,
		Example: `  throughline bench drain --login-url https://127.0.0.1:8443/orgs/acme --ca sim/tls/ca.pem --client-id app --records records.ndjson`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.ClientSecret = secret.New(os.Getenv("THROUGHLINE_BENCH_CLIENT_SECRET"))
			result, err := writerbench.Drain(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.LoginURL, "login-url", "", "where the org gives tokens")
	flags.StringVar(&cfg.CAFile, "ca", "", "PEM `file` of who vouches for the org")
	flags.StringVar(&cfg.ClientID, "client-id", "", "consumer key of the app")
	flags.StringVar(&cfg.Records, "records", "", "`file` with one JSON object a line")
	flags.StringVar(&cfg.Object, "object", cfg.Object, "sObject")
	flags.StringVar(&cfg.Key, "external-id", cfg.Key, "external id field")
	flags.IntVar(&cfg.Parallelism, "parallelism", cfg.Parallelism, "requests in flight")
	flags.BoolVar(&cfg.CollectionsOnly, "collections-only", false, "no jobs of the Bulk API")
	return cmd
}
