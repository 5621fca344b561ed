package configbench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config"
)

const (
	// fillBatch is how many outcomes one transaction takes: far more than the service's default, because every transaction
	// writes each page of the index of ids that it touches.
	fillBatch = 100_000
	// openWithin bounds opening a database of many rows.
	openWithin = 10 * time.Minute
	// cleanEvery is how often retention looks while it is measured.
	cleanEvery = time.Second
	// cleanWithin bounds the wait for it.
	cleanWithin = 10 * time.Minute
)

// runLogs measures SQLite, and PostgreSQL if there is one.
func (m *bench) runLogs(ctx context.Context) error {
	if m.cfg.Outcomes == 0 {
		return nil
	}
	if m.cfg.SQLite {
		if err := m.runLog(ctx, "SQLite", secret.String{}); err != nil {
			return fmt.Errorf("SQLite: %w", err)
		}
	}
	if m.cfg.Postgres.IsEmpty() {
		return nil
	}
	dsn, drop, err := schema(ctx, m.cfg.Postgres, m.cfg.Keep != "")
	if err == nil {
		err = errors.Join(m.runLog(ctx, "PostgreSQL", dsn), drop())
	}
	if err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	return nil
}

func (m *bench) runLog(ctx context.Context, database string, dsn secret.String) error {
	file := m.place.file("outcomes.db")
	if m.cfg.Keep != "" {
		file = filepath.Join(m.cfg.Keep, "outcomes.db")
	}
	open := func(retention config.Retention) (*service, error) { //nolint:contextcheck // the service ends with close
		return m.place.start(file, func(c *config.Config, d *config.Deps) {
			c.Database.PostgresDSN, c.Database.OpenTimeout = dsn, openWithin
			c.RunLog.Retention = retention
			d.Clock = fixedClock{epoch.AddDate(0, 0, logDays)}
		})
	}
	q := &questions{bench: m, all: sample{m.cfg.Outcomes}, random: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // repeatable
	r := RunLog{Database: database, Outcomes: m.cfg.Outcomes}
	if err := m.with(ctx, open, config.DefaultConfig().RunLog.Retention, q, func() error {
		return errors.Join(m.ask(ctx, q, &r), m.record(ctx, q, &r))
	}); err != nil {
		return err
	}
	if err := m.weigh(ctx, &r, file, dsn); err != nil {
		return err
	}
	retention := config.DefaultConfig().RunLog.Retention
	retention.Rows = epoch.AddDate(0, 0, logDays).Sub(q.all.at(q.oldest))
	retention.Every = cleanEvery
	if err := m.with(ctx, open, retention, q, func() error { return m.askWhileCleaning(ctx, q, &r) }); err != nil {
		return err
	}
	m.result.RunLogs = append(m.result.RunLogs, r)
	return nil
}

// with opens the service, fills in the outcomes that are missing, and measures.
func (m *bench) with(ctx context.Context, open func(config.Retention) (*service, error), retention config.Retention, q *questions, measure func() error) (err error) {
	if q.s, err = open(retention); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.s.close()) }()
	for n := range logWorkspaces {
		if err := q.s.workspace(ctx, workspaceID(n), placeholderOrg); err != nil {
			return err
		}
	}
	if err := m.fillOutcomes(ctx, q); err != nil {
		return err
	}
	if q.oldest == 0 {
		if err := q.findOldest(ctx); err != nil {
			return err
		}
	}
	return measure()
}

// fillOutcomes adds what is not there yet; the counts tell how many have come, also of those that were deleted since.
func (m *bench) fillOutcomes(ctx context.Context, q *questions) error {
	there := 0
	for n := range logWorkspaces {
		counts, err := q.s.trusted.CountOutcomes(ctx, &configv1.CountOutcomesRequest{Workspace: workspaceID(n)})
		if err != nil {
			return err
		}
		for _, c := range counts.GetCounts() {
			there += int(c.GetCount())
		}
	}
	q.recorded = max(there, m.cfg.Outcomes)
	p := newProgress(m.w, "outcomes", there, m.cfg.Outcomes)
	for first := there; first < m.cfg.Outcomes; first += fillBatch {
		batch := make([]*streamv1.Outcome, 0, fillBatch)
		for n := first; n < min(first+fillBatch, m.cfg.Outcomes); n++ {
			batch = append(batch, q.all.outcome(n))
		}
		if err := q.s.RecordOutcomes(ctx, batch); err != nil {
			return err
		}
		p.at(first + len(batch))
	}
	if there < m.cfg.Outcomes {
		m.result.Fill = append(m.result.Fill, p.done(m.cfg.Outcomes))
	}
	return nil
}
