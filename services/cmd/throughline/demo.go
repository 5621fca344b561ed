package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/services/demo"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// demoFlags are what run and demo share.
type demoFlags struct{ opts demo.Options }

func (f *demoFlags) register(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.opts.Events, "events", 100_000, "how many events to send")
	cmd.Flags().Uint64Var(&f.opts.Seed, "seed", 1, "seed of the stream and of its people")
	cmd.Flags().IntVar(&f.opts.Rate, "rate", 0, "events per second; 0 is as fast as it goes")
	cmd.Flags().StringVar(&f.opts.Dir, "dir", "", "`folder` that keeps everything, so that a killed run can go on; default: a temporary one")
}

func (f *demoFlags) run(cmd *cobra.Command, stay bool) (demo.Summary, error) {
	f.opts.Version, f.opts.Out, f.opts.Stay = version, cmd.OutOrStdout(), stay
	f.opts.Live = screen.IsTerminal(cmd.OutOrStdout())
	return demo.Run(cmd.Context(), f.opts)
}

func newRun() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:     "run",
		GroupID: "try",
		Short:   "Everything in one process, with a stream of events; stays up to look around",
		Long: `Starts an embedded Kafka broker, simulated Salesforce orgs of three customers and all services in this process, sends a stream
of viewing events through, compares every record in the orgs with an independent calculation, and stays up until interrupted.`,
		Example: "  throughline run\n  throughline run --events 20000 --rate 2000 --dir data/run",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := f.run(cmd, true)
			return err
		},
	}
	f.register(cmd)
	return cmd
}

// errNotClean makes the exit code of a demo that found something.
var errNotClean = errors.New("something was lost, doubled or left parked; the lines above say what")

func newDemo() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:     "demo",
		GroupID: "try",
		Short:   "The same once: exits 0 only if nothing was lost or doubled",
		Long: `Runs the demo once and ends. The last line is one JSON object:

  events_in         events read from the customer topic
  engagements       people with a content, for which there are totals
  written           records in the orgs
  skipped, failed   outcomes; parked: writes that still wait
  lost, duplicates  the verdict of an oracle that shares no code with the pipeline
  salesforce_calls  requests that the orgs answered
  elapsed_s         from the first event sent to the last record written

Started again on a folder whose run was killed, it goes on where that was; see deploy/crash.sh.`,
		Example: "  throughline demo | tail -1 | jq .lost\n  throughline demo --dir data/d --events 500000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			summary, err := f.run(cmd, false)
			if err != nil {
				return err
			}
			line, err := json.Marshal(summary)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), string(line)); err != nil {
				return err
			}
			if !summary.OK() {
				return errNotClean
			}
			return nil
		},
	}
	f.register(cmd)
	return cmd
}
