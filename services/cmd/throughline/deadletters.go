package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// letterFlags say which dead letters are meant.
type letterFlags struct {
	filter   replay.Filter
	from, to string
}

func (f *letterFlags) register(flags *pflag.FlagSet) {
	flags.StringVarP(&f.filter.Workspace, "workspace", "w", "", "of this workspace")
	flags.StringVar(&f.filter.Connection, "connection", "", "of this connection; only writes and resolved records have one")
	flags.StringVar(&f.filter.Stage, "stage", "", "given up by this stage, e.g. writer")
	flags.StringVar(&f.filter.Reason, "reason", "", "reason code, e.g. BAD_SCHEMA")
	flags.StringVar(&f.filter.Event, "event", "", "of this event id")
	flags.StringVar(&f.filter.Write, "write", "", "of this write key")
	flags.StringVar(&f.filter.Letter, "id", "", "this dead letter")
	flags.StringVar(&f.from, "from", "", "given up at or after this time, RFC 3339")
	flags.StringVar(&f.to, "to", "", "given up before this time, RFC 3339")
}

// fill completes the filter from the flags.
func (f *letterFlags) fill() error {
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
	return nil
}

// openLetters opens the dead letters of an installation; the caller closes the client.
func openLetters(cfg *app.Config) (*replay.Replayer, *kafka.Client, error) {
	file, err := cfg.KeyFile()
	if err != nil {
		return nil, nil, err
	}
	key, err := file.Load()
	if err != nil {
		return nil, nil, err
	}
	client, err := kafka.New(cfg.Kafka, kafka.Deps{})
	if err != nil {
		return nil, nil, err
	}
	return &replay.Replayer{Log: app.TopicLog{Client: client}, Opener: key}, client, nil
}

func newDeadLetters() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "deadletters",
		GroupID: "look",
		Short:   "What was given up: which event, why, its trace and how often it was tried",
		Long: `Dead letters are kept for topics.dead_letter_retention, 30 days. They are sealed; what is shown of them holds no personal data.
It needs the installation key. Once what made them fail is put right, throughline replay feeds them again.`,
	}
	cmd.AddCommand(newDeadLettersList(), newDeadLettersShow())
	return cmd
}

func newDeadLettersList() *cobra.Command {
	var t target
	var f letterFlags
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The newest first",
		Example: `  throughline deadletters list --workspace acme
  throughline deadletters list --workspace acme --stage writer --reason SF_VALIDATION --limit 200 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > maxPage {
				return fmt.Errorf("--limit: must be 1 to %d", maxPage)
			}
			if err := f.fill(); err != nil {
				return err
			}
			letters, err := newestLetters(cmd, &t, f.filter, limit)
			if err != nil {
				return err
			}
			return printLetters(cmd.OutOrStdout(), letters, asJSON)
		},
	}
	t.register(cmd)
	f.register(cmd.Flags())
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func newDeadLettersShow() *cobra.Command {
	var t target
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show <id>",
		Short:   "One of them, and what can be done with it",
		Example: `  throughline deadletters show Zk3v0mN5q8Yw1rT2uXbA4cDe`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			letters, err := newestLetters(cmd, &t, replay.Filter{Letter: args[0]}, 1)
			if err != nil {
				return err
			}
			if len(letters) == 0 {
				return errors.New("there is no dead letter with this id; they are kept for topics.dead_letter_retention")
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(&letters[0])
			}
			return showLetter(cmd.OutOrStdout(), &letters[0])
		},
	}
	t.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for machines")
	return cmd
}

func newestLetters(cmd *cobra.Command, t *target, f replay.Filter, limit int) ([]replay.Sample, error) {
	cfg, err := t.load()
	if err != nil {
		return nil, err
	}
	box, client, err := openLetters(cfg)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return box.Newest(cmd.Context(), f, limit)
}

func printLetters(w io.Writer, letters []replay.Sample, asJSON bool) error {
	if asJSON {
		for i := range letters {
			if err := json.NewEncoder(w).Encode(&letters[i]); err != nil {
				return err
			}
		}
		return nil
	}
	t := screen.NewTable(w, "id", "given up", "workspace", "stage", "reason", "attempts", "event", "trace", "detail")
	for i := range letters {
		s := &letters[i]
		t.AppendRow(screen.Row{s.ID, s.At.Format(time.RFC3339), s.Workspace, s.Stage, s.Reason, s.Attempts, s.Event, s.Trace, s.Detail})
	}
	t.Render()
	return printShown(w, len(letters), "")
}

func showLetter(w io.Writer, s *replay.Sample) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"id", s.ID},
		{"given up", s.At.Format(time.RFC3339)},
		{"workspace", s.Workspace},
		{"connection", s.Connection},
		{"stage", s.Stage},
		{"reason", s.Reason},
		{"detail", s.Detail},
		{"attempts", strconv.FormatUint(uint64(s.Attempts), 10)},
		{"event", s.Event},
		{"write key", s.Write},
		{"trace id", s.Trace},
		{"lies at", s.Where},
	} {
		if line[1] != "" {
			fmt.Fprintf(tab, "%s\t%s\n", line[0], line[1])
		}
	}
	if s.Event != "" && s.Workspace != "" {
		fmt.Fprintf(tab, "its way\tthroughline trace --workspace %s %s\n", s.Workspace, s.Event)
	}
	fmt.Fprintf(tab, "again\tthroughline replay --id %s --yes\n", s.ID)
	return tab.Flush()
}
