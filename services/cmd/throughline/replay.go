package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/internal/screen"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// replayFlags are the flags of `throughline replay`.
type replayFlags struct {
	letterFlags
	restart replay.Restart
	rate    float64
	resume  string
	why     string
	yes     bool
	asJSON  bool
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

It goes on at the stage that gave it up. --from-stage lets it go on further back, with the same keys: at mapping, or at identity,
which looks up anew whom it is about, e.g. after people were merged or an address field was made searchable. Only what failed comes
of it, not what has been written besides. It needs the record that the write was made from, which is kept as long as
topics.retention says.

Mapping goes by the rules of the event's time. With --new-mapping what mapping or the writer gave up is mapped by the newest
versions of the integrations: what the corrected rule makes of it takes the place of what failed.

Writes are sent in bulk, so that they take no calls from what happens now; --real-time sends them in the class of their integration.

Who replays what is in the audit log of the workspace, or of the installation without --workspace, before the first record and after
the last.

Without --yes nothing changes: it counts by stage and reason and shows the first few.

An interrupt (Ctrl-C) or an error stops it with a report of what was replayed, and with the command that does the rest. No record is
replayed twice by that, but for a batch of which it is not known whether it arrived; its keys are the same, so that nothing is
written twice.`,
		Example: `  throughline replay --workspace acme --stage writer
  throughline replay --workspace acme --reason BAD_SCHEMA --from 2026-11-23T09:00:00Z --json
  throughline replay --workspace acme --stage writer --rate 20 --yes --why "the rule is corrected"
  throughline replay --workspace acme --reason SF_RECORD_GONE --from-stage identity --yes
  throughline replay --id Zk3v0mN5q8Yw1rT2uXbA4cDe --yes
  throughline replay --workspace acme --stage writer --rate 20 --yes --resume 5f1c2a90:0=120-400,3=88-391`,
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
	f.letterFlags.register(flags)
	flags.Float64Var(&f.rate, "rate", replay.DefaultRate, "records a second at most")
	flags.StringVar(&f.restart.FromStage, "from-stage", "", "go on at this `stage`: identity, mapping or writer; ingest or visits for what those gave up")
	flags.BoolVar(&f.restart.NewMapping, "new-mapping", false, "map what failed once more, by the newest versions of the integrations")
	flags.BoolVar(&f.restart.RealTime, "real-time", false, "send writes in the class of their integration, not in bulk")
	flags.StringVar(&f.why, "why", "", "why, for the audit log")
	flags.StringVar(&f.resume, "resume", "", "go on where a replay with the same filter stopped: the `mark` it printed")
	flags.BoolVar(&f.yes, "yes", false, "really replay")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON for machines")
	return cmd
}

// fill completes the filter from the flags and checks it.
func (f *replayFlags) fill() error {
	if err := f.letterFlags.fill(); err != nil {
		return err
	}
	if f.rate <= 0 {
		return errors.New("--rate must be more than 0 records a second")
	}
	return errors.Join(f.filter.Validate(), f.restart.Validate())
}

func (f *replayFlags) run(cmd *cobra.Command, t *target) error {
	cfg, err := t.load()
	if err != nil {
		return err
	}
	r, client, err := openLetters(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	r.Rate, r.Resume, r.Restart = f.rate, f.resume, f.restart
	var audit replayAudit
	if f.yes {
		conn, err := settings.Dial(cfg.Settings, settings.Deps{})
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		r.Publisher = client
		audit = replayAudit{service: configv1.NewReplayServiceClient(conn), id: uuid.NewString(), flags: f}
		if err := audit.record(cmd.Context(), nil); err != nil {
			return fmt.Errorf("the replay cannot be written into the audit log, so nothing was replayed: %w", err)
		}
	}
	line := &replayLine{out: cmd.ErrOrStderr()}
	if f.live(cmd) {
		r.Progress = func(p replay.Progress) { line.draw(p, time.Now()) }
	}
	report, err := r.Run(cmd.Context(), f.filter)
	line.end()
	if f.yes {
		// An interrupt ends the replay, and not what is told of it.
		if failed := audit.record(context.WithoutCancel(cmd.Context()), report); failed != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "what was replayed is not in the audit log, only that it began: %v\n", failed)
		}
	}
	return f.tell(cmd, report, err)
}

// live reports whether somebody watches: standard error is a terminal, and the output is not for machines.
func (f *replayFlags) live(cmd *cobra.Command) bool {
	return !f.asJSON && screen.IsTerminal(cmd.ErrOrStderr())
}

// tell prints the report, also of a replay that was stopped, and returns what the command fails with.
func (f *replayFlags) tell(cmd *cobra.Command, report *replay.Report, err error) error {
	var printed error
	if f.asJSON {
		printed = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
	} else {
		report.Render(cmd.OutOrStdout())
		if f.yes && report.Resume != "" {
			_, printed = fmt.Fprintf(cmd.OutOrStdout(), "The rest:\n  %s\n", again(cmd, report.Resume))
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case err != nil:
		return err
	case printed != nil:
		return printed
	case f.yes && report.Unreadable > 0:
		return fmt.Errorf("%d dead letters could not be replayed", report.Unreadable)
	}
	return nil
}

// again is the command that does the rest of a stopped replay, for a shell.
func again(cmd *cobra.Command, mark string) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		values := []string{flag.Value.String()}
		if several, ok := flag.Value.(pflag.SliceValue); ok {
			values = several.GetSlice()
		}
		for _, value := range values {
			switch {
			case flag.Name == "resume":
			case flag.Value.Type() == "bool" && value == "true":
				words = append(words, "--"+flag.Name)
			default:
				words = append(words, "--"+flag.Name+"="+quoted(value))
			}
		}
	})
	return strings.Join(append(words, "--resume="+mark), " ")
}

// quoted quotes a word for a POSIX shell if it needs to be.
func quoted(word string) string {
	plain := func(r rune) bool {
		return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') || strings.ContainsRune("-_.:/@=,+", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
