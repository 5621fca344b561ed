package app

import (
	"context"
	"fmt"
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
		done(fmt.Sprintf("topic             %s, %d partitions", s.Name, s.Partitions))
	}
	return nil
}
