package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Statuses of outcomes that are told apart here, as in stream/v1.
const (
	statusSkipped  = 2
	statusParked   = 3
	statusFailed   = 4
	statusRetrying = 5
	statusRejected = 6
	// statuses is how many rows a day of an integration has at most.
	statuses = 7
)

// IntegrationDay is what one integration did on one day (UTC).
type IntegrationDay struct {
	Integration                                      string
	Day, First, Last                                 time.Time
	Read, Written, Skipped, Parked, Failed, Retrying int64
	firstFailed                                      string
	firstFailedAt                                    int64
	// FirstError is the first outcome that was given up, nil if there is none or it is not kept any more.
	FirstError *Outcome
}

// DayQuery selects days of one workspace. Empty fields do not filter.
type DayQuery struct {
	Workspace, Integration string
	// From is inclusive, To exclusive; days are chosen whole.
	From, To time.Time
	// AfterDay and AfterIntegration continue behind a row of an earlier answer.
	AfterDay         time.Time
	AfterIntegration string
	Limit            int
}

const dayMicros = int64(24 * time.Hour / time.Microsecond)

func dayOf(t time.Time) int64 { return micros(t) / dayMicros }

func dayTime(day int64) time.Time { return fromMicros(day * dayMicros) }

type dayKey struct {
	workspace   string
	day         int64
	integration string
	status      int32
}

// dayChange is what a batch changes about one row.
type dayChange struct {
	n           int64
	first, last int64
	id          string
}

// dayCounter collects what a batch changes about the days of integrations.
type dayCounter map[dayKey]dayChange

func (c dayCounter) add(o *Outcome, n int64) {
	if o.Integration == "" {
		return
	}
	key := dayKey{o.Workspace, dayOf(o.DecidedAt), cleaned(o.Integration), o.Status}
	at := micros(o.DecidedAt)
	change, ok := c[key]
	if !ok {
		change.first = maxMicros
	}
	if change.n += n; n > 0 { // what is taken away leaves first and last alone
		if at < change.first {
			change.first, change.id = at, o.ID
		}
		change.last = max(change.last, at)
	}
	c[key] = change
}

// apply adds the changes, in one order for all, so that concurrent batches do not lock each other out.
func (c dayCounter) apply(ctx context.Context, d dialect, tx *sql.Tx) error {
	keys := slices.SortedFunc(maps.Keys(c), func(a, b dayKey) int {
		return cmp.Or(strings.Compare(a.workspace, b.workspace), cmp.Compare(a.day, b.day),
			strings.Compare(a.integration, b.integration), cmp.Compare(a.status, b.status))
	})
	args := make([]any, 0, len(keys)*addDays.columns)
	for _, k := range keys {
		change := c[k]
		args = append(args, k.workspace, k.day, k.integration, k.status, change.n, change.first, change.last, change.id)
	}
	return addDays.apply(ctx, tx, d, args)
}

var addDays = upsert{
	into: "integration_days (workspace, day, integration, status, n, first_at, last_at, first_id)", columns: 8,
	onConflict: `ON CONFLICT (workspace, day, integration, status) DO UPDATE SET
		n = integration_days.n + excluded.n,
		first_id = CASE WHEN excluded.first_at < integration_days.first_at THEN excluded.first_id ELSE integration_days.first_id END,
		first_at = CASE WHEN excluded.first_at < integration_days.first_at THEN excluded.first_at ELSE integration_days.first_at END,
		last_at = CASE WHEN excluded.last_at > integration_days.last_at THEN excluded.last_at ELSE integration_days.last_at END`,
}

// IntegrationDays returns days, newest first and within a day by integration.
func (s *Store) IntegrationDays(ctx context.Context, q DayQuery) ([]IntegrationDay, error) {
	days, err := s.queryDays(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read what integrations of %s did: %w", q.Workspace, err)
	}
	for i := range days {
		if days[i].firstFailed == "" {
			continue
		}
		if days[i].FirstError, err = s.stillFailed(ctx, q.Workspace, &days[i]); err != nil {
			return nil, fmt.Errorf("read what integrations of %s did: %w", q.Workspace, err)
		}
	}
	return days, nil
}

func (s *Store) queryDays(ctx context.Context, q DayQuery) ([]IntegrationDay, error) {
	where, args := "workspace = $1 AND n > 0", []any{q.Workspace} // promise 9
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where += " AND " + condition
	}
	if q.Integration != "" {
		add("integration = ?", q.Integration)
	}
	if !q.From.IsZero() {
		add("day >= ?", dayOf(q.From))
	}
	if !q.To.IsZero() {
		add("day <= ?", (micros(q.To)-1)/dayMicros)
	}
	if q.AfterIntegration != "" {
		day := dayOf(q.AfterDay)
		add("day <= ?", day)
		add("(day < ? OR integration > ?)", day, q.AfterIntegration)
	}
	rows, err := s.read.QueryContext(ctx, fmt.Sprintf(`SELECT integration, day, status, n, first_at, last_at, first_id
		FROM integration_days WHERE %s ORDER BY day DESC, integration, status LIMIT %d`, where, (q.Limit+1)*statuses), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	return collectDays(rows, q.Limit)
}

// collectDays makes one day of the rows of its statuses.
func collectDays(rows *sql.Rows, limit int) ([]IntegrationDay, error) {
	var days []IntegrationDay
	for rows.Next() {
		var integration, id string
		var day, n, first, last int64
		var status int32
		if err := rows.Scan(&integration, &day, &status, &n, &first, &last, &id); err != nil {
			return nil, err
		}
		if at := dayTime(day); len(days) == 0 || days[len(days)-1].Integration != integration || !days[len(days)-1].Day.Equal(at) {
			if len(days) == limit {
				break
			}
			days = append(days, IntegrationDay{Integration: integration, Day: at, First: fromMicros(first), Last: fromMicros(last)})
		}
		d := &days[len(days)-1]
		d.count(status, n)
		if t := fromMicros(first); t.Before(d.First) {
			d.First = t
		}
		if t := fromMicros(last); t.After(d.Last) {
			d.Last = t
		}
		if (status == statusFailed || status == statusRejected) && (d.firstFailed == "" || first < d.firstFailedAt) {
			d.firstFailed, d.firstFailedAt = id, first
		}
	}
	return days, rows.Err()
}

func (d *IntegrationDay) count(status int32, n int64) {
	d.Read += n
	switch status {
	case statusWritten:
		d.Written += n
	case statusSkipped:
		d.Skipped += n
	case statusParked:
		d.Parked += n
	case statusFailed, statusRejected:
		d.Failed += n
	case statusRetrying:
		d.Retrying += n
	}
}

// outcomeByID finds an outcome by hashes of its id. The limit keeps the two conditions apart: SQLite would otherwise read every row of
// the workspace rather than four by their hashes.
const outcomeByID = `SELECT decided_at, stage, status, reason, body FROM
	(SELECT * FROM outcomes WHERE id_hash IN ($1, $2, $3, $4) LIMIT 4) AS found WHERE workspace = $5 AND outcome_id = $6`

// stillFailed returns the day's first failure if its outcome is there and has not changed since.
func (s *Store) stillFailed(ctx context.Context, workspace string, d *IntegrationDay) (*Outcome, error) {
	// Another outcome under the same hash moves one on to the next: a few are tried.
	hash := idHash(workspace, d.firstFailed)
	o := &Outcome{Workspace: workspace, ID: d.firstFailed}
	var decided int64
	err := s.read.QueryRowContext(ctx, outcomeByID, hash, hash+1, hash+2, hash+3, workspace, d.firstFailed).
		Scan(&decided, &o.Stage, &o.Status, &o.Reason, &o.Body)
	if errors.Is(err, sql.ErrNoRows) || err == nil && o.Status != statusFailed && o.Status != statusRejected {
		return nil, nil
	}
	o.DecidedAt = fromMicros(decided)
	return o, err
}
