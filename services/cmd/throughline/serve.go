package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/libs/conf"
	"github.com/throughline-dev/throughline/services/app"
)

// closeTimeout bounds the flushing of telemetry at the end.
const closeTimeout = 10 * time.Second

func newServe() *cobra.Command {
	var src sources
	var check, show bool
	cmd := &cobra.Command{
		Use:     "serve <service>... | all",
		GroupID: "serve",
		Short:   "Run services until interrupted",
		Long: `Runs one service, several, or all of them in one process. They speak to each other over Kafka and gRPC either way.

Services: ` + strings.Join(app.Names(), ", ") + `.

The first interrupt drains: what is in flight is finished, offsets are committed, the rest stays in Kafka. A second one
ends the process at once; nothing is lost then either, only repeated.`,
		Example: `  throughline serve all --config throughline.yaml
  throughline serve writer --config throughline.yaml            # as many replicas as you like
  THROUGHLINE_KAFKA__BROKERS=[kafka:9092] throughline serve ingest
  throughline serve --show-config                               # every key with its value
  throughline serve all --config throughline.yaml --check-config`,
		Args: func(_ *cobra.Command, args []string) error {
			if show {
				return nil
			}
			_, err := app.Resolve(args)
			return err
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := src.load()
			if err != nil {
				return err
			}
			if show {
				text, err := conf.YAML(cfg)
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(cmd.OutOrStdout(), text)
				return err
			}
			if check {
				// Building opens what is needed without connecting or listening; close it right away.
				cfg.Admin.Listen = ""
			}
			p, err := app.New(cmd.Context(), cfg, args, app.Options{Version: version})
			if err != nil {
				return err
			}
			if check {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "configuration is valid")
				return errors.Join(err, closeProcess(p))
			}
			p.TakeGlobalLogs()
			if err := printLink(cmd, p); err != nil {
				return errors.Join(err, closeProcess(p))
			}
			return errors.Join(p.Run(cmd.Context()), closeProcess(p))
		},
	}
	src.register(cmd)
	cmd.Flags().BoolVar(&check, "check-config", false, "check the configuration and exit")
	cmd.Flags().BoolVar(&show, "show-config", false, "print the configuration in force, secrets redacted, and exit")
	return cmd
}

// printLink shows whoever starts an embedded installation the way in, on standard output: logs go elsewhere (promise 8).
func printLink(cmd *cobra.Command, p *app.Process) error {
	link, until, err := p.AdministratorLink(cmd.Context())
	if err != nil || link == "" {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "administrator, once and until %s: throughline sign-in '%s'\n", until.Local().Format(time.TimeOnly), link)
	return err
}

func closeProcess(p *app.Process) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return p.Close(ctx)
}
