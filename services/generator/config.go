package generator

import (
	"errors"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/services/generator/world"
)

// Config is what a user chooses about the traffic. Equal configurations make equal streams.
type Config struct {
	// Seed of all chance. The world draws from PCG(Seed, "world"), the stream from PCG(Seed, "stream").
	Seed uint64 `yaml:"seed"`
	// Events to make, malformed and repeated ones included.
	Events int `yaml:"events"`
	// Now is the moment the stream ends at, to the millisecond; all well-formed events happened in the Window before
	// it. A caller that starts the same stream again must pass the same moment.
	Now time.Time `yaml:"now"`
	// Window is how much time the traffic spans: 1 to 24 hours.
	Window time.Duration `yaml:"window"`
	// Workspaces that get traffic.
	Workspaces []world.WorkspaceConfig `yaml:"workspaces"`
	// Viewers with an address, per workspace.
	Viewers int `yaml:"viewers"`
	// Contents per workspace.
	Contents int `yaml:"contents"`
	// Shares says how often things happen.
	Shares Shares `yaml:"shares"`
	// ReportEvery is how often a player reports what was played: 1 to 60 seconds.
	ReportEvery time.Duration `yaml:"report_every"`
	// OversizeBytes is the size of events that are meant to be too large.
	OversizeBytes int `yaml:"oversize_bytes"`
}

// Shares are probabilities from 0 to 1.
type Shares struct {
	// Documents among the contents looked at.
	Documents float64 `yaml:"documents"`
	// Anonymous sessions: nobody ever says who it is.
	Anonymous float64 `yaml:"anonymous"`
	// BecomesKnown: sessions that start anonymous and get an address in the middle of the first visit.
	BecomesKnown float64 `yaml:"becomes_known"`
	// ChangesEvidence: sessions that start with one address and turn out to be another person by stronger evidence.
	ChangesEvidence float64 `yaml:"changes_evidence"`
	// BadAddress: sessions whose link carries no usable address (a merge field, say).
	BadAddress float64 `yaml:"bad_address"`
	// OwnViews: sessions of the content's owner.
	OwnViews float64 `yaml:"own_views"`
	// TabKills: visits that end without a close event.
	TabKills float64 `yaml:"tab_kills"`
	// Returns: visits that go on after their close event.
	Returns float64 `yaml:"returns"`
	// SeveralContents: sessions that look at two or three contents.
	SeveralContents float64 `yaml:"several_contents"`
	// Duplicates: events delivered twice, the second time at once or up to half an hour later.
	Duplicates float64 `yaml:"duplicates"`
	// OutOfOrder: events overtaken by the next ones, by 2 to 30 seconds.
	OutOfOrder float64 `yaml:"out_of_order"`
	// Late: events that arrive 1 to 20 minutes after they happened, often after the visit was closed.
	Late float64 `yaml:"late"`
	// Malformed events among all.
	Malformed float64 `yaml:"malformed"`
	// Registrations for events in the place of sessions; the oracle expects nothing of them. 0 by default.
	Registrations float64 `yaml:"registrations"`
	// Protobuf: sessions whose producer sends bare protobuf instead of CloudEvents JSON.
	Protobuf float64 `yaml:"protobuf"`
	// Binary: sessions whose producer sends CloudEvents in Kafka's binary mode.
	Binary float64 `yaml:"binary"`
}

// DefaultConfig is the demo's traffic: 100,000 events of three workspaces in two hours. Now is left for the caller.
func DefaultConfig() Config {
	return Config{
		Seed: 1, Events: 100_000, Window: 2 * time.Hour, Workspaces: world.DefaultWorkspaces(),
		Viewers: 1200, Contents: 150, ReportEvery: 15 * time.Second, OversizeBytes: 300 << 10,
		Shares: Shares{
			Documents: 0.45, Anonymous: 0.25, BecomesKnown: 0.06, ChangesEvidence: 0.02, BadAddress: 0.01,
			OwnViews: 0.02, TabKills: 0.18, Returns: 0.03, SeveralContents: 0.15,
			Duplicates: 0.02, OutOfOrder: 0.02, Late: 0.006, Malformed: 0.01,
			Protobuf: 0.15, Binary: 0.05,
		},
	}
}

// Validate reports every key that is out of its bounds.
func (c Config) Validate() error {
	errs := []error{c.Shares.validate()}
	if c.Events < 1 {
		errs = append(errs, fmt.Errorf("events: %d, want 1 or more", c.Events))
	}
	if c.Window < time.Hour || c.Window > 24*time.Hour {
		errs = append(errs, fmt.Errorf("window: %v, want 1h to 24h", c.Window))
	}
	if c.ReportEvery < time.Second || c.ReportEvery > time.Minute {
		errs = append(errs, fmt.Errorf("report_every: %v, want 1s to 1m", c.ReportEvery))
	}
	if c.OversizeBytes < 1<<10 || c.OversizeBytes > 16<<20 {
		errs = append(errs, fmt.Errorf("oversize_bytes: %d, want 1 KiB to 16 MiB", c.OversizeBytes))
	}
	if err := c.world().Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c Config) world() world.Config {
	return world.Config{
		Seed: c.Seed, Now: c.Now, Workspaces: c.Workspaces, Viewers: c.Viewers, Contents: c.Contents,
	}
}

func (s Shares) validate() error {
	var errs []error
	check := func(key string, value float64) {
		if !(value >= 0 && value <= 1) {
			errs = append(errs, fmt.Errorf("shares.%s: %v, want 0 to 1", key, value))
		}
	}
	check("documents", s.Documents)
	check("anonymous", s.Anonymous)
	check("becomes_known", s.BecomesKnown)
	check("changes_evidence", s.ChangesEvidence)
	check("bad_address", s.BadAddress)
	check("own_views", s.OwnViews)
	check("who", s.Anonymous+s.BecomesKnown+s.ChangesEvidence+s.BadAddress+s.OwnViews)
	check("tab_kills", s.TabKills)
	check("returns", s.Returns)
	check("several_contents", s.SeveralContents)
	check("duplicates", s.Duplicates)
	check("out_of_order", s.OutOfOrder)
	check("late", s.Late)
	check("delays", s.OutOfOrder+s.Late)
	check("registrations", s.Registrations)
	check("protobuf", s.Protobuf)
	check("binary", s.Binary)
	check("formats", s.Protobuf+s.Binary)
	if !(s.Malformed >= 0 && s.Malformed <= 0.9) {
		errs = append(errs, fmt.Errorf("shares.malformed: %v, want 0 to 0.9", s.Malformed))
	}
	return errors.Join(errs...)
}
