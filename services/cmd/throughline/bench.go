package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/pprof"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/bench/configbench"
	"github.com/throughline-dev/throughline/services/bench/reportbench"
	"github.com/throughline-dev/throughline/services/bench/stagebench"
	"github.com/throughline-dev/throughline/services/bench/writerbench"
	"github.com/throughline-dev/throughline/services/demo"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bench",
		GroupID: "measure",
		Short:   "Measure on this machine, against a baseline of the same run",
		Long:    "Each benchmark prints its figures and, as the last line, one JSON object with name, value, unit, ratio and against.",
	}
	cmd.AddCommand(newBenchStage(), newBenchPipeline(), newBenchWriter(), newBenchDrain(), newBenchReport(), newBenchConfig(), newBenchBroker())
	return cmd
}

func newBenchStage() *cobra.Command {
	cfg := stagebench.DefaultConfig()
	var profile string
	cmd := &cobra.Command{
		Use:     "stage",
		Short:   "One stage against a bare consume-produce copy on the same broker",
		Example: "  throughline bench stage\n  throughline bench stage --brokers localhost:9092 --events 1000000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return profiled(profile, func() error {
				_, err := stagebench.Run(cmd.Context(), cfg, cmd.OutOrStdout())
				return err
			})
		},
	}
	cmd.Flags().StringSliceVar(&cfg.Brokers, "brokers", nil, "brokers of a cluster; default: one embedded in this process")
	cmd.Flags().IntVar(&cfg.Events, "events", cfg.Events, "events per round")
	cmd.Flags().IntVar(&cfg.Rounds, "rounds", cfg.Rounds, "rounds; the median counts")
	cmd.Flags().IntVar(&cfg.Partitions, "partitions", cfg.Partitions, "partitions of the topics")
	cmd.Flags().StringVar(&profile, "cpuprofile", "", "write a CPU profile to this `file`")
	return cmd
}

func newBenchPipeline() *cobra.Command {
	opts := demo.BenchOptions{Events: 300_000, Seed: 1}
	var profile string
	cmd := &cobra.Command{
		Use:   "pipeline",
		Short: "Raw JSON in, Salesforce records out, everything in one process",
		Long: `Puts a stream into the customer topic, starts the pipeline on it and measures until every event has had its effect and the
records it caused are in the simulated orgs. Then lets the oracle check every record; what was lost or doubled fails the run.`,
		Example: "  throughline bench pipeline\n  throughline bench pipeline --events 1000000 --cpuprofile cpu.prof",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Out = cmd.OutOrStdout()
			return profiled(profile, func() error {
				result, err := demo.Bench(cmd.Context(), opts)
				if err == nil && (result.Lost > 0 || result.Duplicates > 0) {
					err = errNotClean
				}
				return err
			})
		},
	}
	cmd.Flags().IntVar(&opts.Events, "events", opts.Events, "how many")
	cmd.Flags().Uint64Var(&opts.Seed, "seed", opts.Seed, "seed of the stream")
	cmd.Flags().StringVar(&profile, "cpuprofile", "", "write a CPU profile to this `file`")
	return cmd
}

func newBenchWriter() *cobra.Command {
	cfg := writerbench.DefaultConfig()
	var profile string
	var apart bool
	cmd := &cobra.Command{
		Use:   "writer",
		Short: "The writer against simulated orgs: records/s, API calls, healthy orgs beside dead ones",
		Long: `Drains a backlog at several latencies and compares records/s with 200 × requests in flight ÷ latency; counts API calls per
1,000 records of a backlog, a steady stream and a trickle; compares the p99 of healthy orgs with and without dead ones.`,
		Example: `  throughline bench writer
  throughline bench writer --json | jq .rates
  throughline bench writer --latency 150ms --records 4000 --for 2s --orgs 20 --dead 2 --orgs-rate 40   # small`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if apart {
				program, err := os.Executable()
				if err != nil {
					return err
				}
				cfg.Program = program
			}
			return profiled(profile, func() error {
				_, err := writerbench.Run(cmd.Context(), cfg, cmd.OutOrStdout())
				return err
			})
		},
	}
	cmd.Flags().DurationSliceVar(&cfg.Latencies, "latency", cfg.Latencies, "how long a call takes; repeat for several")
	cmd.Flags().IntVar(&cfg.Records, "records", cfg.Records, "records of the backlog")
	cmd.Flags().IntVar(&cfg.Parallelism, "parallelism", cfg.Parallelism, "requests of one org in flight")
	cmd.Flags().IntVar(&cfg.Steady, "steady", cfg.Steady, "records/s of the steady stream")
	cmd.Flags().IntVar(&cfg.Trickle, "trickle", cfg.Trickle, "records/s of the trickle")
	cmd.Flags().DurationVar(&cfg.For, "for", cfg.For, "how long a stream lasts")
	cmd.Flags().IntVar(&cfg.Orgs, "orgs", cfg.Orgs, "orgs in the comparison with dead ones")
	cmd.Flags().IntVar(&cfg.Dead, "dead", cfg.Dead, "how many of them are dead")
	cmd.Flags().IntVar(&cfg.OrgsRate, "orgs-rate", cfg.OrgsRate, "records/s over all of them")
	cmd.Flags().BoolVar(&apart, "simulator-apart", true, "run the simulator in a process of its own, so that CPU figures leave it out")
	cmd.Flags().BoolVar(&cfg.JSON, "json", false, "print the JSON line only")
	cmd.Flags().StringVar(&profile, "cpuprofile", "", "write a CPU profile to this `file`")
	return cmd
}

func newBenchReport() *cobra.Command {
	cfg := reportbench.DefaultConfig()
	var profile string
	var apart bool
	cmd := &cobra.Command{
		Use:   "report",
		Short: "A large report pushed into a simulated org, against bare bulk jobs with the same rows",
		Long: `Streams rows in over HTTP, matches them with as many records of a simulated org, and writes all of them; then pushes the same
rows again, which changes nothing. Prints rows/s, API calls per 1,000 rows and the most memory that ingest, sync and writer held
together. The baseline is the same rows as upserts in bare Bulk API 2.0 jobs.`,
		Example: `  throughline bench report
  throughline bench report --rows 50000 --latency 0 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if apart {
				program, err := os.Executable()
				if err != nil {
					return err
				}
				cfg.Program = program
			}
			return profiled(profile, func() error {
				_, err := reportbench.Run(cmd.Context(), cfg, cmd.OutOrStdout())
				return err
			})
		},
	}
	cmd.Flags().IntVar(&cfg.Rows, "rows", cfg.Rows, "rows of the report, and records in the org")
	cmd.Flags().DurationVar(&cfg.Latency, "latency", cfg.Latency, "how long a call takes")
	cmd.Flags().BoolVar(&apart, "apart", true, "run simulator and broker in processes of their own, so that the memory is that of the services")
	cmd.Flags().BoolVar(&cfg.JSON, "json", false, "print the JSON line only")
	cmd.Flags().StringVar(&profile, "cpuprofile", "", "write a CPU profile to this `file`")
	return cmd
}

// newBenchBroker is what benchmarks start as a process of its own.
func newBenchBroker() *cobra.Command {
	return &cobra.Command{
		Use: "broker", Short: "A broker in memory, until it is stopped", Example: "  throughline bench broker",
		Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := broker.Start(broker.Config{})
			if err != nil {
				return err
			}
			defer b.Close()
			fmt.Fprintln(cmd.OutOrStdout(), "broker: "+b.Addr()[0])
			<-cmd.Context().Done()
			return nil
		},
	}
}

func newBenchConfig() *cobra.Command {
	cfg := configbench.DefaultConfig()
	var profile, postgres string
	cmd := &cobra.Command{
		Use:   "config",
		Short: "The config service: settings to watchers, questions to the run log, access tokens",
		Long: `Changes one of many integrations and times it until the last watcher has it; asks a run log of millions of rows what became of
events, writes and records, also while old rows are deleted; hands out access tokens. Filling the run log takes most of the time.`,
		Example: `  throughline bench config
  throughline bench config --keep /var/tmp/bench        # the next run needs no filling
  throughline bench config --outcomes 200000            # small
  throughline bench config --outcomes 0 --token-calls 0 # only how settings reach the watchers`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if postgres != "" {
				cfg.Postgres = secret.New(postgres)
			}
			return profiled(profile, func() error {
				_, err := configbench.Run(cmd.Context(), cfg, cmd.OutOrStdout())
				return err
			})
		},
	}
	cmd.Flags().IntVar(&cfg.Watchers, "watchers", cfg.Watchers, "services that watch the settings")
	cmd.Flags().IntVar(&cfg.Integrations, "integrations", cfg.Integrations, "integrations in all")
	cmd.Flags().IntVar(&cfg.Workspaces, "workspaces", cfg.Workspaces, "workspaces they are spread over")
	cmd.Flags().IntVar(&cfg.Changes, "changes", cfg.Changes, "changes to time")
	cmd.Flags().IntVar(&cfg.Outcomes, "outcomes", cfg.Outcomes, "rows of the run log; 0 leaves it out")
	cmd.Flags().IntVar(&cfg.Queries, "queries", cfg.Queries, "questions of each kind")
	cmd.Flags().IntVar(&cfg.TokenCalls, "token-calls", cfg.TokenCalls, "access tokens to hand out; 0 leaves them out")
	cmd.Flags().IntVar(&cfg.Callers, "callers", cfg.Callers, "callers at a time")
	cmd.Flags().StringVar(&cfg.Keep, "keep", "", "keep the SQLite files in this `folder`, and on PostgreSQL the schema bench_kept, for the next run")
	cmd.Flags().BoolVar(&cfg.SQLite, "sqlite", cfg.SQLite, "measure the run log on SQLite")
	cmd.Flags().StringVar(&postgres, "postgres", os.Getenv("THROUGHLINE_TEST_POSTGRES"),
		"measure the run log on this PostgreSQL server too (a `URL`; also THROUGHLINE_TEST_POSTGRES)")
	cmd.Flags().BoolVar(&cfg.JSON, "json", false, "print the JSON line only")
	cmd.Flags().StringVar(&profile, "cpuprofile", "", "write a CPU profile to this `file`")
	return cmd
}

// profiled runs f, with a CPU profile if a file is named.
func profiled(file string, f func() error) error {
	if file == "" {
		return f()
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return errors.Join(err, out.Close())
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, out.Close())
}
