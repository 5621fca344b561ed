package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/services/config/internal/consent"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/notices"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// Store is where sealed values lie.
type Store interface {
	SealedRows(ctx context.Context, table store.SealedTable, after store.Key, limit int) ([]store.SealedRow, error)
	ReplaceSealed(ctx context.Context, row store.SealedRow, next []byte) (bool, error)
	RaiseRevision(ctx context.Context) error
}

// Config bounds the work.
type Config struct {
	// CheckEvery is how often the store is looked through for values of other keys than the primary one. A rotation that the
	// process has taken up makes it look within a minute.
	CheckEvery time.Duration `yaml:"check_every"`
	// Batch is how many values are read at once.
	Batch int `yaml:"batch"`
	// PromoteAfter is how long a workspace's standby sealing key must have been in the settings before it may seal: as long as a
	// service may be cut off from config, and it must be able to open what others seal.
	PromoteAfter time.Duration `yaml:"promote_after"`
}

// DefaultConfig looks every hour, in batches of 200, and lets a workspace's sealing key seal after 10 min.
func DefaultConfig() Config {
	return Config{CheckEvery: time.Hour, Batch: 200, PromoteAfter: 10 * time.Minute}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.CheckEvery < time.Second:
		return errors.New("check_every: want at least 1s")
	case c.Batch < 1 || c.Batch > 10_000:
		return errors.New("batch: want 1 to 10000")
	case c.PromoteAfter < 0:
		return errors.New("promote_after: must not be negative")
	}
	return nil
}

// Deps is what a Rewrapper works with; all of it is required.
type Deps struct {
	Store        Store
	Installation *seal.Installation
	Logger       *slog.Logger
}

// Rewrapper seals anew what older keys have sealed. Safe for concurrent use, and beside those of other replicas.
type Rewrapper struct {
	cfg  Config
	deps Deps
}

// New returns a rewrapper.
func New(cfg Config, deps Deps) *Rewrapper { return &Rewrapper{cfg: cfg, deps: deps} }

// primaryPoll is how often Run looks whether the primary key is another one; it costs nothing.
const primaryPoll = 10 * time.Second

// Run looks through the store at once, whenever the primary key is another one, and every CheckEvery, until ctx ends. A
// failure is logged and tried again at the next look.
func (r *Rewrapper) Run(ctx context.Context) {
	check, poll := time.NewTicker(r.cfg.CheckEvery), time.NewTicker(min(primaryPoll, r.cfg.CheckEvery))
	defer check.Stop()
	defer poll.Stop()
	var done uint32
	for {
		primary := r.deps.Installation.Primary()
		report, err := r.Rewrap(ctx)
		if err == nil && done == 0 {
			err = r.again(ctx)
		}
		if err == nil {
			done = primary
		}
		r.log(ctx, report, err)
		for wait := true; wait; {
			select {
			case <-check.C:
				wait = false
			case <-poll.C:
				wait = r.deps.Installation.Primary() == done
			case <-ctx.Done():
				return
			}
		}
	}
}

// again makes watchers take the settings anew if keys have been rotated: an earlier process may have ended after it wrapped
// keys anew and before it said so.
func (r *Rewrapper) again(ctx context.Context) error {
	keys, err := r.deps.Installation.Keys()
	if err != nil || len(keys) < 2 {
		return err
	}
	return r.deps.Store.RaiseRevision(ctx)
}

func (r *Rewrapper) log(ctx context.Context, report Report, err error) {
	if err != nil && ctx.Err() == nil {
		r.deps.Logger.ErrorContext(ctx, "sealing anew with the primary key stopped; it goes on at the next look", "error", err)
	}
	if report.Resealed > 0 {
		r.deps.Logger.InfoContext(ctx, "sealed anew with the primary key", "values", report.Resealed, "primary", report.Primary)
	}
	for _, v := range report.Unreadable {
		r.deps.Logger.WarnContext(ctx, "a sealed value does not open with this installation's key: enter it again, or restore the key",
			"workspace", v.Workspace, "kind", v.Kind, "id", v.ID)
	}
}

// maxNamed is how many values a report names.
const maxNamed = 100

// Report tells what the store holds by key.
type Report struct {
	// Primary is the key that seals.
	Primary uint32
	// Values counts sealed values by key; those of no known form under 0.
	Values map[uint32]int
	// Resealed is how many were sealed anew.
	Resealed int
	// Unreadable are values that do not open, 100 at most, and UnreadableCount is how many there are. Access tokens are not
	// among them: they are got anew.
	Unreadable      []store.Key
	UnreadableCount int
}

// Use opens every value and counts them by key. It changes nothing.
func (r *Rewrapper) Use(ctx context.Context) (Report, error) { return r.pass(ctx, false) }

// Rewrap seals anew all that another key than the primary one has sealed, and counts what it leaves. It may be stopped and
// begun again at any time: every value is readable before, between and after.
func (r *Rewrapper) Rewrap(ctx context.Context) (Report, error) { return r.pass(ctx, true) }

// pass looks at every sealed value once.
type pass struct {
	*Rewrapper
	report   Report
	write    bool
	snapshot bool // something that watchers hold was sealed anew
}

func (r *Rewrapper) pass(ctx context.Context, write bool) (Report, error) {
	p := &pass{
		Rewrapper: r, write: write,
		report: Report{Primary: r.deps.Installation.Primary(), Values: map[uint32]int{}},
	}
	err := p.tables(ctx)
	if p.snapshot {
		// So that services save a snapshot whose keys are wrapped anew, before the old key goes. Also after a failure: the
		// next pass will not find these rows again.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, r.deps.Store.RaiseRevision(ctx))
	}
	return p.report, err
}

func (p *pass) tables(ctx context.Context) error {
	for _, table := range store.SealedTables() {
		var after store.Key
		for {
			rows, err := p.deps.Store.SealedRows(ctx, table, after, p.cfg.Batch)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if err := p.row(ctx, row); err != nil {
					return err
				}
			}
			if len(rows) < p.cfg.Batch {
				break
			}
			after = rows[len(rows)-1].Key
		}
	}
	return nil
}

// row looks at one value. Its error is the store's, the context's, or that the keyset cannot be read just now.
func (p *pass) row(ctx context.Context, row store.SealedRow) error {
	key, next, err := reseal(p.deps.Installation, row)
	switch {
	case errors.Is(err, seal.ErrOpen):
		p.report.Values[key]++
		if row.Table == store.SealedTokens {
			return nil
		}
		p.report.UnreadableCount++
		if len(p.report.Unreadable) < maxNamed {
			p.report.Unreadable = append(p.report.Unreadable, row.Key)
		}
		return nil
	case err != nil:
		return err
	case next == nil || !p.write:
		p.report.Values[key]++
		return nil
	}
	replaced, err := p.deps.Store.ReplaceSealed(ctx, row, next)
	if err != nil {
		return err
	}
	if !replaced {
		return nil // somebody has just saved it anew; if with an old key, the next look finds it
	}
	sealedBy, _ := keyOf(row.Kind, next)
	p.report.Values[sealedBy]++
	p.report.Resealed++
	p.snapshot = p.snapshot || row.Kind == store.KindWorkspace
	return nil
}

func keyOf(kind store.Kind, sealed []byte) (uint32, bool) {
	if kind == store.KindWorkspace {
		return seal.KeyOfKeys(sealed)
	}
	return seal.KeyOf(sealed)
}

// reseal returns the key that sealed a row and the value sealed with the primary key; nil if that is the same one. The value
// is opened either way: what lies there damaged is found before somebody needs it.
func reseal(inst *seal.Installation, row store.SealedRow) (key uint32, next []byte, err error) {
	key, _ = keyOf(row.Kind, row.Sealed)
	switch {
	case row.Table == store.SealedTokens:
		next, err = anew(inst, row.Sealed, tokens.AccessContext(row.Workspace, row.ID))
	case row.Table == store.SealedFlows:
		next, err = anew(inst, row.Sealed, consent.FlowContext(row.Workspace, row.ID))
	case row.Table == store.SealedRevocations:
		next, err = anew(inst, row.Sealed, lifecycle.RevocationContext(row.Workspace, row.ID))
	case row.Kind == store.KindRecipient:
		next, err = anew(inst, row.Sealed, notices.RecipientContext(row.Workspace, row.ID))
	case row.Kind == store.KindConnection:
		next, err = anew(inst, row.Sealed, tokens.CredentialContext(row.Workspace, row.ID))
	case row.Kind == store.KindWorkspace:
		if _, err = inst.OpenKeys(row.Workspace, row.Sealed); err == nil {
			next, err = inst.RewrapKeys(row.Workspace, row.Sealed)
		}
	default:
		// A newer program's: it will know.
		err = fmt.Errorf("%s %s of workspace %s: %w", row.Kind, row.ID, row.Workspace, seal.ErrOpen)
	}
	return key, next, err
}

func anew(inst *seal.Installation, sealed, associated []byte) ([]byte, error) {
	if _, err := inst.Open(sealed, associated); err != nil {
		return nil, err
	}
	return inst.Reseal(sealed, associated)
}
