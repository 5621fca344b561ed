package app

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
)

// Prepare makes what must exist before services start, and leaves alone what does: the installation's key, the tokens of
// services and administrators, and the topics. done is called for each step with what was done.
func Prepare(ctx context.Context, cfg *Config, done func(step string)) error {
	file, err := cfg.KeyFile()
	if err != nil {
		return err
	}
	if _, err := file.LoadOrCreate(time.Now()); err != nil {
		return fmt.Errorf("installation_key_file: %w", err)
	}
	done("installation key  " + cfg.InstallationKeyFile)
	for _, path := range []string{cfg.Settings.TokenFile, cfg.AdminTokenFile, cfg.ViewerTokenFile} {
		if path == "" {
			continue
		}
		if _, err := LoadOrCreateToken(path); err != nil {
			return err
		}
		done("token             " + path)
	}
	client, err := kafka.New(cfg.Kafka, kafka.Deps{})
	if err != nil {
		return err
	}
	defer client.Close()
	specs := cfg.topicSpecs()
	if err := client.EnsureTopics(ctx, specs...); err != nil {
		return err
	}
	for _, s := range specs {
		done(fmt.Sprintf("topic             %s, %d partitions, %s", s.Name, s.Partitions, keeps(s)))
	}
	return nil
}

// keeps says how long a topic keeps its records.
func keeps(s kafka.TopicSpec) string {
	switch {
	case s.Theirs:
		return "made for " + days(s.Retention) + ", yours to change"
	case s.Compacted:
		return "the newest of every key"
	}
	return "kept " + days(s.Retention) + " at most"
}

func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return strconv.Itoa(int(d/day)) + " days"
	}
	return d.String()
}
