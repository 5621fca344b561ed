package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// topicLine is one topic as it is printed.
type topicLine struct {
	app.TopicRetention
	MayKeep string `json:"may_keep"`
	Keeps   string `json:"keeps"`
	Problem string `json:"problem,omitempty"`
}

func newTopics() *cobra.Command {
	var src sources
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "topics",
		GroupID: "look",
		Short:   "How long every topic keeps records, and whether that is allowed",
		Long: `Asks the brokers how old records get in the pipeline's topics and in the customer topics that ingest reads, and compares that with
what is allowed (topics.retention, raw_retention, unresolved_retention, dead_letter_retention). "throughline init" sets the pipeline's own
topics; customer topics are yours to set. Exits 1 if a topic keeps records too long.`,
		Example: "  throughline topics --config throughline.yaml\n  throughline topics --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := src.load()
			if err != nil {
				return err
			}
			all, err := app.TopicRetentions(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			lines, tooLong := make([]topicLine, len(all)), []string(nil)
			for i, r := range all {
				lines[i] = lineOf(r)
				if r.TooLong() {
					tooLong = append(tooLong, r.Topic)
				}
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"topics": lines})
			} else {
				t := screen.NewTable(cmd.OutOrStdout(), "topic", "holds", "may keep", "keeps", "")
				for _, l := range lines {
					t.AppendRow(screen.Row{l.Topic, l.Holds, l.MayKeep, l.Keeps, l.Problem})
				}
				t.Render()
			}
			if err == nil && len(tooLong) > 0 {
				err = errors.New("records are kept too long in " + strings.Join(tooLong, ", ") +
					": run throughline init for the pipeline's topics, kafka-configs --alter for your own")
			}
			return err
		},
	}
	src.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for machines")
	return cmd
}

func lineOf(r app.TopicRetention) topicLine {
	l := topicLine{TopicRetention: r, MayKeep: age(r.AtMost), Keeps: age(r.Kept.AtMost)}
	switch {
	case !r.Kept.Known:
		l.Keeps, l.Problem = "?", "there is no such topic, or it may not be looked at"
	case r.Kept.Compacted:
		l.Keeps = "the newest of every key"
	case r.Kept.AtMost < 0:
		l.Keeps = "for ever"
	}
	if r.AtMost == 0 {
		l.MayKeep = "the newest of every key"
	}
	if r.TooLong() {
		l.Problem = "too long"
	}
	return l
}

// age is a duration in days where it is at least one.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	if d < day {
		return d.String()
	}
	return fmt.Sprintf("%.4g days", float64(d)/float64(day))
}
