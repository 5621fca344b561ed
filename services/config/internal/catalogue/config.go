package catalogue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Config bounds how orgs are asked.
type Config struct {
	// RefreshEvery is how old an answer may become before the org is asked whether it still holds; at most 6 h (XC-38).
	RefreshEvery time.Duration `yaml:"refresh_every"`
	// ReadEvery is how old an answer may become before it is read again in full: an org's time stamp need not move when only
	// the user's rights do.
	ReadEvery time.Duration `yaml:"read_every"`
	// CheckEvery is the time between two looks for answers that have become too old.
	CheckEvery time.Duration `yaml:"check_every"`
	// RetryAfter is how long an org that could not be asked is left alone; it doubles with every further failure, up to
	// RefreshEvery.
	RetryAfter time.Duration `yaml:"retry_after"`
	// RefusedEvery is the least time between two questions about one object because the org refused a write to it.
	RefusedEvery time.Duration `yaml:"refused_every"`
	// Timeout bounds one question.
	Timeout time.Duration `yaml:"timeout"`
	// Concurrency is how many orgs are asked at the same time to keep answers fresh.
	Concurrency int `yaml:"concurrency"`
	// MaxObjects is how many objects are kept per connection; those asked for the longest ago go first.
	MaxObjects int `yaml:"max_objects"`
	// MaxObjectBytes is the largest answer that is kept. An object with more counts as one that could not be asked for.
	MaxObjectBytes int `yaml:"max_object_bytes"`
	// Queue is how many refused writes wait for their turn; what finds it full is told again by the next one.
	Queue int `yaml:"queue"`
}

// DefaultConfig asks every 6 h and keeps 200 objects of up to 2 MiB per connection.
func DefaultConfig() Config {
	return Config{
		RefreshEvery: 6 * time.Hour, ReadEvery: 24 * time.Hour, CheckEvery: time.Minute, RetryAfter: 2 * time.Minute,
		RefusedEvery: 10 * time.Minute, Timeout: 20 * time.Second, Concurrency: 4, MaxObjects: 200, MaxObjectBytes: 2 << 20, Queue: 1000,
	}
}

// maxRefresh is what XC-38 allows.
const maxRefresh = 6 * time.Hour

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.RefreshEvery <= 0 || c.RefreshEvery > maxRefresh:
		return errors.New("refresh_every: want more than 0 and at most 6h")
	case c.ReadEvery < c.RefreshEvery:
		return errors.New("read_every: want at least refresh_every")
	case c.CheckEvery <= 0:
		return errors.New("check_every: want more than 0")
	case c.RetryAfter <= 0:
		return errors.New("retry_after: want more than 0")
	case c.RefusedEvery <= 0:
		return errors.New("refused_every: want more than 0")
	case c.Timeout <= 0:
		return errors.New("timeout: want more than 0")
	case c.Concurrency < 1:
		return errors.New("concurrency: want at least 1")
	case c.MaxObjects < 1:
		return errors.New("max_objects: want at least 1")
	case c.MaxObjectBytes < 1<<16:
		return errors.New("max_object_bytes: want at least 65536")
	case c.Queue < 1:
		return errors.New("queue: want at least 1")
	}
	return nil
}

// Describes keeps what orgs said.
type Describes interface {
	Describe(ctx context.Context, key store.DescribeKey) (store.Describe, error)
	PutDescribe(ctx context.Context, d store.Describe) error
	DropDescribe(ctx context.Context, key store.DescribeKey) error
}

// Times tells when orgs were asked.
type Times interface {
	DescribeTimes(ctx context.Context, workspace, connection string) (map[string]time.Time, error)
}

// Broken keeps which integrations do not fit.
type Broken interface {
	PutBroken(ctx context.Context, b store.Broken) (bool, error)
	DropBroken(ctx context.Context, key store.Key, version int64) (bool, error)
	BrokenOf(ctx context.Context, workspace string) ([]store.Broken, error)
}

// Counts tells how many integrations are broken, for metrics.
type Counts interface {
	BrokenCounts(ctx context.Context) ([]store.BrokenCount, error)
}

// Settings reads saved settings.
type Settings interface {
	Get(ctx context.Context, key store.Key) (store.Document, error)
	List(ctx context.Context, workspace string, kind store.Kind) ([]store.Document, error)
	Workspaces(ctx context.Context) ([]store.Document, error)
}

// Orgs asks an org.
type Orgs interface {
	// Object describes an object, unless nothing changed since a time that the org gave; zero for in any case.
	Object(ctx context.Context, c *configv1.Connection, object string, since time.Time) (Answer[configv1.DescribedObject], error)
	// Objects lists the objects.
	Objects(ctx context.Context, c *configv1.Connection, since time.Time) (Answer[configv1.ObjectSummaries], error)
}

// Answer is what an org said.
type Answer[T any] struct {
	// Said is nil when nothing changed, and when there is no such thing for the connection's user.
	Said *T
	// Unchanged means that the last answer still holds.
	Unchanged bool
	// ModifiedAt is the org's own time stamp; zero for none.
	ModifiedAt time.Time
}

// Deps is what a Catalogue works with; all but Meter is required.
type Deps struct {
	Describes Describes
	Times     Times
	Broken    Broken
	Counts    Counts
	Settings  Settings
	Orgs      Orgs
	// Compile makes an integration ready to be judged, the way mapping will run it.
	Compile func(*configv1.Integration) (*integration.Program, error)
	Clock   interface{ Now() time.Time }
	Logger  *slog.Logger
	Meter   metric.MeterProvider
}

// Catalogue is safe for concurrent use.
type Catalogue struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	lanes   lanes
	refused chan refusal

	mu      sync.Mutex
	trouble map[connectionKey]trouble
	used    []connectionKey                 // by integrations, at the last look
	told    map[store.DescribeKey]time.Time // when a refusal last made us ask
}

// New returns a catalogue; it asks nobody before it is used or Run.
func New(cfg Config, deps Deps) (*Catalogue, error) {
	m, err := newMetrics(deps.Meter)
	if err != nil {
		return nil, err
	}
	return &Catalogue{
		cfg: cfg, deps: deps, metrics: m, refused: make(chan refusal, cfg.Queue),
		trouble: map[connectionKey]trouble{}, told: map[store.DescribeKey]time.Time{},
	}, nil
}

// connectionKey names a connection.
type connectionKey struct{ workspace, connection string }

func keyOf(c *configv1.Connection) connectionKey { return connectionKey{c.GetWorkspace(), c.GetId()} }
