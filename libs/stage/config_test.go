package stage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
)

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for key, spoil := range map[string]func(*stage.Config){
		"name":            func(c *stage.Config) { c.Name = "" },
		"topic":           func(c *stage.Config) { c.Topic = "" },
		"state_topic":     func(c *stage.Config) { c.StateTopic = c.Topic },
		"batch_records":   func(c *stage.Config) { c.BatchRecords = 0 },
		"batch_bytes":     func(c *stage.Config) { c.BatchBytes = 1 << 30 },
		"batch_wait":      func(c *stage.Config) { c.BatchWait = time.Hour },
		"tick_every":      func(c *stage.Config) { c.TickEvery = 0 },
		"retry_min":       func(c *stage.Config) { c.RetryMin = 0 },
		"retry_max":       func(c *stage.Config) { c.RetryMax = 0 },
		"retry_budget":    func(c *stage.Config) { c.RetryBudget = -1 },
		"drain_timeout":   func(c *stage.Config) { c.DrainTimeout = 0 },
		"session_timeout": func(c *stage.Config) { c.SessionTimeout = 0 },
		"stall_after":     func(c *stage.Config) { c.StallAfter = 0 },
		"max_unsettled":   func(c *stage.Config) { c.MaxUnsettled = 0 },
	} {
		cfg := stage.DefaultConfig("test", "in")
		cfg.DeadLetterTopic = "dead"
		require.NoError(t, cfg.Validate())
		spoil(&cfg)
		_, err := stage.NewPipeline(cfg, stage.Deps{Broker: stagetest.NewBroker()}, stagetest.Copy("out"))
		require.ErrorContains(t, err, key)
		require.Equal(t, 1, strings.Count(err.Error(), "\n")+1)
	}
	_, err := stage.NewPipeline(stage.DefaultConfig("test", "in"), stage.Deps{Broker: stagetest.NewBroker()}, nil)
	require.ErrorContains(t, err, "dead_letter_topic")
	_, err = stage.NewPipeline(stage.DefaultConfig("test", "in"), stage.Deps{}, nil)
	require.ErrorContains(t, err, "broker")
}
