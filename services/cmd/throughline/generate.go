package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/services/generator"
)

func newGenerate() *cobra.Command {
	var events int
	var seed uint64
	var preset, now string
	var summary bool
	cmd := &cobra.Command{
		Use:     "generate",
		GroupID: "try",
		Short:   "Print a stream of viewing events, one JSON object a line",
		Long: `Makes viewing traffic with documented distributions (docs/generator.md): popular and forgotten contents, seeks, tab kills,
duplicates, late and out-of-order events, 1 % malformed, anonymous viewers. The same seed and moment give the same stream, byte
for byte.

A line holds the record as it goes to Kafka: {"key", "headers", "value"}; a value that is not UTF-8 text is in "value_base64".`,
		Example: `  throughline generate --events 1000 | head -3
  throughline generate --summary
  throughline generate --preset trouble --seed 7 --now 2026-11-23T09:00:00Z > events.ndjson`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := generator.Preset(preset)
			if err != nil {
				return err
			}
			cfg.Events, cfg.Seed, cfg.Now = events, seed, time.Now()
			if now != "" {
				if cfg.Now, err = time.Parse(time.RFC3339, now); err != nil {
					return fmt.Errorf("--now: %w", err)
				}
			}
			g, err := generator.New(cfg)
			if err != nil {
				return err
			}
			if summary {
				_, err := fmt.Fprint(cmd.OutOrStdout(), generator.Summarize(g.Events()))
				return err
			}
			return printEvents(cmd.OutOrStdout(), g)
		},
	}
	cmd.Flags().IntVar(&events, "events", 100_000, "how many")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of all chance")
	cmd.Flags().StringVar(&preset, "preset", "demo", "kind of traffic: "+strings.Join(generator.Presets(), ", "))
	cmd.Flags().StringVar(&now, "now", "", "moment the stream ends at, RFC 3339; default: now")
	cmd.Flags().BoolVar(&summary, "summary", false, "print what the stream consists of instead of the stream")
	return cmd
}

// line is one printed event.
type line struct {
	Key     string            `json:"key"`
	Headers map[string]string `json:"headers,omitempty"`
	Value   *string           `json:"value,omitempty"`
	Base64  string            `json:"value_base64,omitempty"`
}

func printEvents(w io.Writer, g *generator.Generator) error {
	out := bufio.NewWriterSize(w, 1<<20)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for e := range g.Events() {
		l := line{Key: string(e.Key)}
		for _, h := range e.Headers {
			if l.Headers == nil {
				l.Headers = map[string]string{}
			}
			l.Headers[h.Key] = string(h.Value)
		}
		if text := strings.ToValidUTF8(string(e.Value), ""); text == string(e.Value) {
			l.Value = &text
		} else {
			l.Base64 = base64.StdEncoding.EncodeToString(e.Value)
		}
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return out.Flush()
}
