package ingest

import (
	"errors"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/ingest/edge"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
	"github.com/throughline-dev/throughline/services/ingest/rows"
)

// Config is what a user sets. Start from DefaultConfig.
type Config struct {
	// Sources are the customer topics to read.
	Sources []Source `yaml:"sources"`
	// Stage tunes the reading of every source; its name, group and topics are set by the service.
	Stage stage.Config `yaml:"stage"`
	// HTTP is the endpoint for producers without Kafka.
	HTTP edge.Config `yaml:"http"`
	// Rows bounds the deliveries of reports, which come to the same endpoint.
	Rows rows.Config `yaml:"rows"`

	// MaxEventBytes is the largest event; a larger one is TOO_LARGE. Default 256 KiB.
	MaxEventBytes int `yaml:"max_event_bytes"`
	// MaxAhead is how far an event's time may lie in the future; further is BAD_TIME. Default 24h.
	MaxAhead time.Duration `yaml:"max_ahead"`
	// SubjectCache is how many sealed viewers and owners are remembered, some 300 bytes each, up to twice as many for a
	// while. Default 32768.
	SubjectCache int `yaml:"subject_cache"`
	// TraceRatio is the share of events, 0 to 1, whose trace is marked as sampled when they bring no trace context of
	// their own. Default 0.01.
	TraceRatio float64 `yaml:"trace_ratio"`
}

// Format says how the events of a source are written.
type Format string

// The formats.
const (
	// FormatAuto goes by the record's content type, then by its CloudEvents headers, then takes it for JSON.
	FormatAuto Format = ""
	// FormatCloudEvents is CloudEvents in JSON, structured or binary mode.
	FormatCloudEvents Format = "cloudevents"
	// FormatProtobuf is a bare throughline.source.v1.ViewingEvent.
	FormatProtobuf Format = "protobuf"
)

// Source is one customer topic.
type Source struct {
	// Topic is its name.
	Topic string `yaml:"topic"`
	// Format is how its events are written.
	Format Format `yaml:"format"`
	// Workspace binds the topic to one tenant: its events need not name it, and must not name another. Leave it empty only
	// for a topic that trusted producers of several tenants share.
	Workspace string `yaml:"workspace"`
	// Group is the consumer group; "" means "tl-ingest-" and the topic.
	Group string `yaml:"group"`
	// DeriveIDs accepts events without an id and derives one from their bytes.
	DeriveIDs bool `yaml:"derive_ids"`
	// EventsPerSecond limits what one process takes from the topic; what is more waits in it. For topics bound to a tenant, so that
	// one tenant's flood does not fill what all share behind ingest (XC-15). 0: no limit.
	EventsPerSecond int `yaml:"events_per_second"`
}

// DefaultConfig has no sources and the HTTP endpoint switched off.
func DefaultConfig() Config {
	limits := intake.DefaultLimits()
	return Config{
		Stage: stage.DefaultConfig(intake.Stage, ""), HTTP: edge.DefaultConfig(), Rows: rows.DefaultConfig(),
		MaxEventBytes: limits.EventBytes, MaxAhead: limits.Ahead, SubjectCache: 32 << 10, TraceRatio: 0.01,
	}
}

// Validate reports every setting that is missing or out of range, by its key.
func (c Config) Validate() error {
	errs := []error{c.HTTP.Validate(), c.Rows.Validate()}
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(c.MaxEventBytes > 0, "max_event_bytes must be positive, not %d", c.MaxEventBytes)
	need(c.MaxAhead >= 0, "max_ahead must not be negative, is %s", c.MaxAhead)
	need(c.SubjectCache > 0, "subject_cache must be positive, not %d", c.SubjectCache)
	need(c.TraceRatio >= 0 && c.TraceRatio <= 1, "trace_ratio must be between 0 and 1, not %v", c.TraceRatio)
	seen := map[string]bool{}
	for i, s := range c.Sources {
		need(s.Topic != "", "sources[%d].topic is missing", i)
		need(!seen[s.Topic], "sources[%d].topic %q is listed twice", i, s.Topic)
		need(s.Format == FormatAuto || s.Format == FormatCloudEvents || s.Format == FormatProtobuf,
			"sources[%d].format must be cloudevents, protobuf or empty, not %q", i, s.Format)
		need(s.EventsPerSecond >= 0, "sources[%d].events_per_second must not be negative, is %d", i, s.EventsPerSecond)
		need(s.Workspace == "" || event.WorkspaceID(s.Workspace), "sources[%d].workspace %q is not a workspace id", i, s.Workspace)
		seen[s.Topic] = true
		if s.Topic != "" {
			errs = append(errs, c.StageOf(s).Validate())
		}
	}
	return errors.Join(errs...)
}

// StageOf is the configuration of the stage that reads one source.
func (c Config) StageOf(s Source) stage.Config {
	cfg := c.Stage
	cfg.Name, cfg.Topic, cfg.StateTopic, cfg.Group = intake.Stage, s.Topic, "", s.Group
	if s.EventsPerSecond > 0 {
		// What one batch holds passes within a second of the source's pace: a stop or a rebalance that finds a longer one under way
		// would have it begin anew, and never end.
		cfg.BatchRecords = min(cfg.BatchRecords, s.EventsPerSecond)
	}
	if cfg.Group == "" {
		cfg.Group = "tl-" + intake.Stage + "-" + s.Topic
	}
	return cfg
}
