package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/replay"
)

// replayFlags are the flags of `throughline replay`.
type replayFlags struct {
	filter   replay.Filter
	from, to string
	rate     float64
	yes      bool
	asJSON   bool
}

func newReplay() *cobra.Command {
	var t target
	var f replayFlags
	cmd := &cobra.Command{
		Use:     "replay",
		GroupID: "look",
		Short:   "Dead letters back to the topics they came from; counts only, unless --yes",
		Long: `Feeds what was given up to its topic again: the same bytes, key and headers, so that what has already been written is not
written again. Put right first what made it fail; what fails again becomes a new dead letter.

Without --yes nothing changes: it counts by stage and reason and shows the first few.`,
		Example: `  throughline replay --workspace acme --stage writer
  throughline replay --workspace acme --reason BAD_SCHEMA --from 2026-11-23T09:00:00Z --json
  throughline replay --workspace acme --stage writer --rate 20 --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.fill(); err != nil {
				return err
			}
			return f.run(cmd, &t)
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.filter.Workspace, "workspace", "w", "", "of this workspace")
	flags.StringVar(&f.filter.Connection, "connection", "", "of this connection; only writes and resolved records have one")
	flags.StringVar(&f.filter.Stage, "stage", "", "given up by this stage, e.g. writer")
	flags.StringVar(&f.filter.Reason, "reason", "", "reason code, e.g. BAD_SCHEMA")
	flags.StringVar(&f.filter.Event, "event", "", "of this event id")
	flags.StringVar(&f.filter.Write, "write", "", "of this write key")
	flags.StringVar(&f.from, "from", "", "given up at or after this time, RFC 3339")
	flags.StringVar(&f.to, "to", "", "given up before this time, RFC 3339")
	flags.Float64Var(&f.rate, "rate", replay.DefaultRate, "records a second at most")
	flags.BoolVar(&f.yes, "yes", false, "really replay")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON for machines")
	return cmd
}

// fill completes the filter from the flags and checks it.
func (f *replayFlags) fill() error {
	for _, b := range []struct {
		flag, value string
		at          *time.Time
	}{{"--from", f.from, &f.filter.From}, {"--to", f.to, &f.filter.To}} {
		if b.value == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, b.value)
		if err != nil {
			return fmt.Errorf("%s: want a time such as 2026-11-23T09:00:00Z: %w", b.flag, err)
		}
		*b.at = at
	}
	f.filter.Reason = strings.ToUpper(f.filter.Reason)
	if f.rate <= 0 {
		return errors.New("--rate must be more than 0 records a second")
	}
	return f.filter.Validate()
}

func (f *replayFlags) run(cmd *cobra.Command, t *target) error {
	cfg, err := t.load()
	if err != nil {
		return err
	}
	key, err := seal.LoadInstallation(cfg.InstallationKeyFile)
	if err != nil {
		return err
	}
	client, err := kafka.New(cfg.Kafka, kafka.Deps{})
	if err != nil {
		return err
	}
	defer client.Close()
	r := &replay.Replayer{Log: app.TopicLog{Client: client}, Opener: key, Rate: f.rate}
	if f.yes {
		r.Publisher = client
	}
	report, err := r.Run(cmd.Context(), f.filter)
	if f.yes {
		audit(cmd.ErrOrStderr(), f.filter, report, err)
	}
	if err != nil {
		return err
	}
	if f.asJSON {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
	} else {
		report.Render(cmd.OutOrStdout())
	}
	if err == nil && f.yes && report.Unreadable > 0 {
		err = fmt.Errorf("%d dead letters could not be replayed", report.Unreadable)
	}
	return err
}

// audit logs one line about who replayed what, also when the replay broke off.
func audit(w io.Writer, filter replay.Filter, r *replay.Report, err error) {
	slog.New(slog.NewJSONHandler(w, nil)).Info("dead letters replayed",
		"user", os.Getenv("USER"), "filter", filter, "read", r.Read, "matched", r.Matched, "replayed", r.Replayed,
		"unreadable", r.Unreadable, "complete", err == nil)
}
