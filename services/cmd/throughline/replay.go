package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/replay"
)

// replayFlags are the flags of `throughline replay`.
type replayFlags struct {
	filter   replay.Filter
	from, to string
	rate     float64
	resume   string
	remap    bool
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

A write goes as it was mapped then. With --new-mapping what mapping or the writer gave up is mapped once more, by the newest
versions of the integrations: what the corrected rule makes of it takes the place of what failed, and nothing else is written.

Without --yes nothing changes: it counts by stage and reason and shows the first few.

An interrupt (Ctrl-C) or an error stops it with a report of what was replayed, and with the command that does the rest. No record is
replayed twice by that, but for a batch of which it is not known whether it arrived; its keys are the same, so that nothing is
written twice.`,
		Example: `  throughline replay --workspace acme --stage writer
  throughline replay --workspace acme --reason BAD_SCHEMA --from 2026-11-23T09:00:00Z --json
  throughline replay --workspace acme --stage writer --rate 20 --yes
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
	flags.StringVarP(&f.filter.Workspace, "workspace", "w", "", "of this workspace")
	flags.StringVar(&f.filter.Connection, "connection", "", "of this connection; only writes and resolved records have one")
	flags.StringVar(&f.filter.Stage, "stage", "", "given up by this stage, e.g. writer")
	flags.StringVar(&f.filter.Reason, "reason", "", "reason code, e.g. BAD_SCHEMA")
	flags.StringVar(&f.filter.Event, "event", "", "of this event id")
	flags.StringVar(&f.filter.Write, "write", "", "of this write key")
	flags.StringVar(&f.from, "from", "", "given up at or after this time, RFC 3339")
	flags.StringVar(&f.to, "to", "", "given up before this time, RFC 3339")
	flags.Float64Var(&f.rate, "rate", replay.DefaultRate, "records a second at most")
	flags.BoolVar(&f.remap, "new-mapping", false, "map what failed once more, by the newest versions of the integrations")
	flags.StringVar(&f.resume, "resume", "", "go on where a replay with the same filter stopped: the `mark` it printed")
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
	file, err := cfg.KeyFile()
	if err != nil {
		return err
	}
	key, err := file.Load()
	if err != nil {
		return err
	}
	client, err := kafka.New(cfg.Kafka, kafka.Deps{})
	if err != nil {
		return err
	}
	defer client.Close()
	r := &replay.Replayer{Log: app.TopicLog{Client: client}, Opener: key, Rate: f.rate, Resume: f.resume, NewMapping: f.remap}
	if f.yes {
		r.Publisher = client
		f.audit(cmd.ErrOrStderr(), "dead letters are going to be replayed")
	}
	line := &replayLine{out: cmd.ErrOrStderr()}
	if f.live(cmd) {
		r.Progress = func(p replay.Progress) { line.draw(p, time.Now()) }
	}
	report, err := r.Run(cmd.Context(), f.filter)
	line.end()
	if f.yes {
		f.audit(cmd.ErrOrStderr(), "dead letters replayed", "read", report.Read, "matched", report.Matched, "replayed", report.Replayed,
			"unreadable", report.Unreadable, "complete", err == nil, "stopped", report.Stopped, "rest", report.Resume)
	}
	return f.tell(cmd, report, err)
}

// live reports whether somebody watches: standard error is a terminal, and the output is not for machines.
func (f *replayFlags) live(cmd *cobra.Command) bool {
	file, ok := cmd.ErrOrStderr().(*os.File)
	return ok && !f.asJSON && isatty.IsTerminal(file.Fd())
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

// audit logs one line about who replays what: before it begins, so that there is one also when the process dies, and with the
// counts when it has ended, also early.
func (f *replayFlags) audit(w io.Writer, what string, counts ...any) {
	slog.New(slog.NewJSONHandler(w, nil)).Info(what,
		append([]any{"user", userName(), "filter", f.filter, "rate", f.rate, "new_mapping", f.remap, "resume", f.resume}, counts...)...)
}

// userName is who runs this, for the audit line; "" when the system does not say.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
