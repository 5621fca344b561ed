package app

import (
	"context"
	"fmt"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/console"
	"github.com/throughline-dev/throughline/services/identity"
	"github.com/throughline-dev/throughline/services/ingest"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/flow"
	"github.com/throughline-dev/throughline/services/internal/orgs"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/internal/trace"
	"github.com/throughline-dev/throughline/services/mapping"
	"github.com/throughline-dev/throughline/services/sync"
	"github.com/throughline-dev/throughline/services/sync/changes"
	"github.com/throughline-dev/throughline/services/sync/reports"
	"github.com/throughline-dev/throughline/services/visits"
	"github.com/throughline-dev/throughline/services/writer"
)

// Names of the modules that the process treats in a special way.
const (
	configModule   = "config"
	settingsModule = "settings"
)

// module is one service and how to build it.
type module struct {
	name  string
	build func(*shared) (Service, error)
	// internal modules are not services a user can name; they run where they are needed.
	internal bool
}

// modules is everything a process can run, in order of start: the end of the flow first.
var modules = []module{
	{name: keysModule, build: buildKeys, internal: true},
	{name: configModule, build: buildConfig},
	{name: settingsModule, build: buildSettings, internal: true},
	{name: "console", build: buildConsole},
	{name: "writer", build: buildWriter},
	{name: "mapping", build: buildMapping},
	{name: "identity", build: buildIdentity},
	{name: "sync", build: buildSync},
	{name: "visits", build: buildVisits},
	{name: "ingest", build: buildIngest},
}

// Names lists the services that can be served.
func Names() []string {
	var names []string
	for _, m := range modules {
		if !m.internal {
			names = append(names, m.name)
		}
	}
	return names
}

// open makes what every service needs.
func (s *shared) open() error {
	file, err := s.cfg.KeyFile()
	if err != nil {
		return err
	}
	// Never a new one here: what a process with a key of its own seals, such as dead letters, nobody else could open.
	if s.installation, err = file.Load(); err != nil {
		return fmt.Errorf("installation_key_file: %w; copy it from where `throughline init` made it, or run that first", err)
	}
	s.deadLetter = deadletter.Encode(s.installation)
	s.kafka, err = kafka.New(s.cfg.Kafka, kafka.Deps{Logger: s.tel.For("kafka"), Tracer: s.tel.Tracer, Meter: s.tel.Meter})
	return err
}

// watch makes what all services but config need: the settings, and the orgs they lead to.
func (s *shared) watch() error {
	conn, err := settings.Dial(s.cfg.Settings, settings.Deps{Tracer: s.tel.Tracer, Meter: s.tel.Meter})
	if err != nil {
		return err
	}
	s.closers, s.config = append(s.closers, conn.Close), conn
	s.settings, err = settings.NewClient(s.cfg.Settings, settings.Deps{
		Installation: s.installation, Conn: conn, Logger: s.tel.For(settingsModule), Tracer: s.tel.Tracer, Meter: s.tel.Meter,
	})
	if err != nil {
		return err
	}
	s.orgs, err = orgs.New(s.cfg.Orgs, orgs.Deps{
		Tokens: s.settings.Service(), Settings: s.settings, Tracer: s.tel.Tracer, Meter: s.tel.Meter,
	})
	return err
}

func buildSettings(s *shared) (Service, error) { return s.settings, nil }

func buildConfig(s *shared) (Service, error) {
	cfg := s.cfg.Config
	cfg.Privacy.TopicRetention, cfg.Privacy.DeadLetterRetention = s.cfg.Topics.Retention, s.cfg.Topics.DeadLetterRetention
	cfg.Notices.ParkedFor = s.cfg.Writer.Parking.KeepFor
	cfg.Privacy.UnresolvedRetention = s.cfg.Topics.UnresolvedRetention
	return config.New(cfg, config.Deps{
		Broker: s.kafka, Topics: TopicLog{s.kafka}, Installation: s.installation, Decide: Decide,
		Logger: s.tel.For(configModule), Tracer: s.tel.Tracer, Meter: s.tel.Meter, DeadLetter: s.deadLetter,
	})
}

// buildConsole gives the console a caller of its own, which may look and change nothing.
func buildConsole(s *shared) (Service, error) {
	viewer := s.cfg.Settings
	viewer.Token, viewer.TokenFile = secret.String{}, s.cfg.ViewerTokenFile
	conn, err := settings.Dial(viewer, settings.Deps{Tracer: s.tel.Tracer, Meter: s.tel.Meter})
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, conn.Close)
	client := configv1.NewConfigServiceClient(conn)
	return console.New(s.cfg.Console, console.Deps{
		Settings: client, Tracer: &trace.Finder{Log: TopicLog{s.kafka}, Outcomes: client}, Logger: s.tel.For("console"),
	})
}

func buildWriter(s *shared) (Service, error) {
	return writer.New(s.cfg.Writer, writer.Deps{
		Broker: s.kafka, Settings: s.settings, Orgs: s.orgs,
		Logger: s.tel.For("writer"), Tracer: s.tel.Tracer, Meter: s.tel.Meter, DeadLetter: s.deadLetter,
	})
}

func buildMapping(s *shared) (Service, error) {
	return mapping.New(s.cfg.Mapping, mapping.Deps{
		Broker: s.kafka, Settings: s.settings,
		Logger: s.tel.For("mapping"), Tracer: s.tel.Tracer, Meter: s.tel.Meter, DeadLetter: s.deadLetter,
	})
}

func buildIdentity(s *shared) (Service, error) {
	return identity.New(s.cfg.Identity, identity.Deps{
		Broker: s.kafka, Settings: s.settings, Orgs: s.orgs, Topics: s.kafka,
		Logger: s.tel.For("identity"), Tracer: s.tel.Tracer, Meter: s.tel.Meter, DeadLetter: s.deadLetter,
	})
}

func buildSync(s *shared) (Service, error) {
	return sync.New(s.cfg.Sync, sync.Deps{
		Changes: changes.Deps{
			Broker: s.kafka, Partitioner: s.kafka, Settings: s.settings, Orgs: s.orgs, UserAgent: s.cfg.Orgs.Salesforce.UserAgent,
			Logger: s.tel.For("sync"), Tracer: s.tel.Tracer, Meter: s.tel.Meter, DeadLetter: s.deadLetter,
		},
		Reports: reports.Deps{
			Broker: s.kafka, Publisher: s.kafka, Settings: s.settings, Orgs: s.orgs,
			Runs: configv1.NewReportRunServiceClient(s.config), Behind: s.behind,
			Logger: s.tel.For("sync"), Tracer: s.tel.Tracer, Meter: s.tel.Meter, DeadLetter: s.deadLetter,
		},
	})
}

// behind is how many writes of the partition that has a connection the writer has not settled.
func (s *shared) behind(ctx context.Context, workspace, connection string) (int64, error) {
	lags, err := s.kafka.Lag(ctx, flow.Writes.Group, flow.Writes.Topic)
	if err != nil {
		return 0, err
	}
	return lags[s.kafka.PartitionFor(topic.ConnectionKey(workspace, connection), len(lags))].Records(), nil
}

func buildVisits(s *shared) (Service, error) {
	return visits.New(s.cfg.Visits, visits.Deps{
		Broker: s.kafka, Settings: s.settings, Clock: s.silence,
		Logger: s.tel.For("visits"), Tracer: s.tel.Tracer, Meter: s.tel.Meter, DeadLetter: s.deadLetter,
	})
}

func buildIngest(s *shared) (Service, error) {
	return ingest.New(s.cfg.Ingest, ingest.Deps{
		Broker: s.kafka, Publisher: s.kafka, Settings: s.settings, Sealer: s.installation,
		Logger: s.tel.For("ingest"), Tracer: s.tel.Tracer, Meter: s.tel.Meter,
	})
}
