package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
)

const (
	// sendBatch is how many events are acknowledged together.
	sendBatch = 1000
	// maxLine is far more than the largest event that is accepted.
	maxLine = 16 << 20
)

func newSend() *cobra.Command {
	var src sources
	var topic string
	cmd := &cobra.Command{
		Use:     "send [file]...",
		GroupID: "look",
		Short:   "Send events to a customer topic, one JSON object a line",
		Long: `Reads lines from files, or from standard input, and sends each as one record to the topic that ingest reads. A line is an event as
producers send it (docs/source-events.md), keyed by its session, or a record as "throughline generate" prints it. Nothing is
checked: what is wrong with an event is ingest's to say.`,
		Example: `  throughline send --config throughline.yaml events.ndjson
  throughline generate --events 1000 | throughline send --topic viewing-events`,
		RunE: func(cmd *cobra.Command, files []string) error {
			cfg, err := src.load()
			if err != nil {
				return err
			}
			if topic == "" && len(cfg.Ingest.Sources) > 0 {
				topic = cfg.Ingest.Sources[0].Topic
			}
			if topic == "" {
				return errors.New("where to? give --topic, or a configuration with ingest.sources")
			}
			client, err := kafka.New(cfg.Kafka, kafka.Deps{})
			if err != nil {
				return err
			}
			defer client.Close()
			s := &sender{publish: client.Publish, topic: topic}
			if err := s.sendAll(cmd.Context(), cmd.InOrStdin(), files); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "sent %d events to %s\n", s.sent, topic)
			return err
		},
	}
	src.register(cmd)
	cmd.Flags().StringVar(&topic, "topic", "", "customer `topic`; default: the first of ingest.sources")
	return cmd
}

// sender publishes lines in batches. The order of lines is kept.
type sender struct {
	publish func(ctx context.Context, messages ...stage.Message) error
	topic   string
	batch   []stage.Message
	sent    int
}

func (s *sender) sendAll(ctx context.Context, stdin io.Reader, files []string) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		if err := s.sendFile(ctx, stdin, name); err != nil {
			return err
		}
	}
	return s.flush(ctx)
}

func (s *sender) sendFile(ctx context.Context, stdin io.Reader, name string) error {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		m, err := s.message(text)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
		s.batch = append(s.batch, m)
		if len(s.batch) < sendBatch {
			continue
		}
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// message makes the record of one line. The text is copied.
func (s *sender) message(text []byte) (stage.Message, error) {
	var l struct {
		line
		Session string `json:"session"`
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return stage.Message{}, fmt.Errorf("not a JSON object: %w", err)
	}
	m := stage.Message{Topic: s.topic, Key: []byte(l.Key)}
	for key, value := range l.Headers {
		m.Headers = append(m.Headers, stage.Header{Key: key, Value: []byte(value)})
	}
	switch {
	case l.Value != nil:
		m.Value = []byte(*l.Value)
	case l.Base64 != "":
		value, err := base64.StdEncoding.DecodeString(l.Base64)
		if err != nil {
			return stage.Message{}, fmt.Errorf("value_base64: %w", err)
		}
		m.Value = value
	default:
		m.Key, m.Headers, m.Value = []byte(l.Session), nil, bytes.Clone(text)
	}
	return m, nil
}

func (s *sender) flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	if err := s.publish(ctx, s.batch...); err != nil {
		return fmt.Errorf("send to %s: %w", s.topic, err)
	}
	s.sent += len(s.batch)
	s.batch = s.batch[:0]
	return nil
}
