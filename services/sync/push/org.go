package push

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/orgs"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Orgs hands out the connections' clients; *orgs.Pool is one.
type Orgs interface {
	Client(workspace, connection string) (*salesforce.Client, error)
}

// org asks one connection's org, within its means: it waits while the org cannot or may not be asked.
type org struct {
	cfg      *Config
	deps     *Deps
	stats    *counters
	tenure   *tenure
	run      *configv1.ReportRun
	keys     int // of a query; shrinks while answers are slow
	keysLock sync.Mutex

	// name is settings.OrgOf the run's connection; known from the first call on, and the same to the end.
	name     string
	named    bool
	nameLock sync.Mutex
}

// orgName names the org that the run is about: what it writes is for no other (LOOM-14).
func (o *org) orgName() string {
	o.nameLock.Lock()
	defer o.nameLock.Unlock()
	return o.name
}

// isSame notes which org the connection is with. It tells why the run has to wait, and fails when it was another one before: ids of
// records that were found there mean nothing here.
func (o *org) isSame() (wait string, err error) {
	ws, ok := o.deps.Settings.View().Workspace(o.run.GetWorkspace())
	if !ok {
		return "", nil
	}
	c, ok := ws.Connection(o.run.GetConnection())
	if !ok {
		return "", nil
	}
	name, known := settings.OrgOf(c)
	if !known {
		return "the connection was given to another org, and it is not known yet to which; the run goes on when it is", nil
	}
	o.nameLock.Lock()
	defer o.nameLock.Unlock()
	if o.named && o.name != name {
		return "", fail(streamv1.Reason_REASON_SF_RECORD_GONE, "the connection was given to another org while the run was under way; start a new one")
	}
	o.name, o.named = name, true
	return "", nil
}

// matcher says what to ask about keys.
type matcher struct {
	object  string
	key     salesforce.FieldDescribe
	fields  []string
	exclude string
}

// statement is the query for literals, and how many bytes it has besides them.
func (m *matcher) statement(literals []string) string {
	return "SELECT " + strings.Join(m.fields, ", ") + " FROM " + m.object + " WHERE " + m.key.Name + " IN (" +
		strings.Join(literals, ",") + ")" + m.exclude
}

// newMatcher reads the fields, each once. Converted Leads are records of the past (WALK-25).
func newMatcher(p *plan) *matcher {
	m := &matcher{object: p.push.GetObject(), key: p.keyField}
	add := func(name string) {
		for _, have := range m.fields {
			if strings.EqualFold(have, name) {
				return
			}
		}
		m.fields = append(m.fields, name)
	}
	add("Id")
	add(p.keyField.Name)
	if !p.push.GetAlwaysWrite() {
		for _, f := range p.fills {
			add(f.Field())
		}
	}
	if p.push.GetSeveralMatches() == configv1.SeveralMatches_SEVERAL_MATCHES_LATEST {
		add("LastModifiedDate")
	}
	if m.object == "Lead" {
		m.exclude = " AND IsConverted = false"
	}
	return m
}

// find hands the records with one of the keys to found, from one goroutine at a time, each once.
func (o *org) find(ctx context.Context, m *matcher, values []any, found func(salesforce.Record)) error {
	literals, room := make([]string, 0, len(values)), salesforce.MaxQueryBytes-len(url.QueryEscape(m.statement(nil)))
	for _, v := range values {
		literal, err := salesforce.Literal(m.key, v)
		if err != nil {
			continue // no record holds it
		}
		if len(url.QueryEscape(literal)) > room {
			continue // nor one that is too long to be asked for: fields that can be searched hold far less
		}
		literals = append(literals, literal)
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.cfg.Queries)
	for len(literals) > 0 {
		n := o.fitting(m, literals)
		some := literals[:n]
		literals = literals[n:]
		g.Go(func() error {
			return guarded(func() error {
				records, err := o.ask(ctx, m, some)
				mu.Lock()
				defer mu.Unlock()
				for _, rec := range records {
					if id := rec.String("Id"); !seen[id] { // two spellings in two queries may find the same one
						seen[id] = true
						found(rec)
					}
				}
				return err
			})
		})
	}
	return g.Wait()
}

// fitting is how many of the literals one query takes: by its length, and by how fast the org answers.
func (o *org) fitting(m *matcher, literals []string) int {
	room := salesforce.MaxQueryBytes - len(url.QueryEscape(m.statement(nil)))
	n := 0
	for most := o.pace(); n < len(literals) && n < most; n++ {
		if room -= len(url.QueryEscape(literals[n])) + len("%2C"); room < 0 {
			break
		}
	}
	return max(n, 1)
}

func (o *org) pace() int {
	o.keysLock.Lock()
	defer o.keysLock.Unlock()
	if o.keys == 0 {
		o.keys = o.cfg.QueryKeys
	}
	return o.keys
}

// paced takes in how long an answer took: slow ones halve the next queries, quick ones let them grow again (WALK-37).
func (o *org) paced(took time.Duration) {
	o.keysLock.Lock()
	defer o.keysLock.Unlock()
	switch {
	case took >= o.cfg.SlowQuery:
		o.keys = max(o.keys/2, o.cfg.QueryKeysMin)
	case took < o.cfg.SlowQuery/4:
		o.keys = min(o.keys+max(o.keys/4, 1), o.cfg.QueryKeys)
	}
}

// ask sends one query until it is answered, in halves when it finds too much. The error is a *failure, or why the work ends.
func (o *org) ask(ctx context.Context, m *matcher, literals []string) ([]salesforce.Record, error) {
	wait, tries := o.cfg.WaitMin, 0
	for {
		client, err := o.client(ctx)
		if err != nil {
			return nil, err
		}
		o.stats.queries.Add(1)
		began := time.Now()
		records, err := client.Query(ctx, m.statement(literals))
		o.paced(time.Since(began))
		if err == nil {
			o.tenure.say(ctx, "")
			return records, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		e, known := errors.AsType[*salesforce.Error](err)
		if !known {
			e = &salesforce.Error{Class: salesforce.ClassUnknown, Reason: salesforce.ReasonRejected, Detail: "an unexpected failure"}
		}
		if e.Split && len(literals) > 1 {
			return o.halves(ctx, m, literals)
		}
		if tries++; !o.passes(e, tries) {
			return nil, fail(reasonOf(e), "%s: %s; correct what it names in Salesforce or in the push", e.Code, e.Detail)
		}
		if err := o.wait(ctx, wait, note(e)); err != nil {
			return nil, err
		}
		wait = min(2*wait, o.cfg.WaitMax)
	}
}

func (o *org) halves(ctx context.Context, m *matcher, literals []string) ([]salesforce.Record, error) {
	half := len(literals) / 2
	first, err := o.ask(ctx, m, literals[:half])
	if err != nil {
		return nil, err
	}
	second, err := o.ask(ctx, m, literals[half:])
	return append(first, second...), err
}

// passes reports whether a failure passes by itself.
func (o *org) passes(e *salesforce.Error, tries int) bool {
	switch e.Class {
	case salesforce.ClassTransient, salesforce.ClassLock, salesforce.ClassQuota:
		return true
	case salesforce.ClassUnknown:
		return tries < o.cfg.Tries
	}
	return false
}

func note(e *salesforce.Error) string {
	if e.Class == salesforce.ClassQuota {
		return "the org's calls of 24 hours are used up; the run goes on when there are some again"
	}
	return fmt.Sprintf("Salesforce cannot be asked (%s); the run goes on when it can", e.Code)
}

// wait pauses the run with a note for those who look.
func (o *org) wait(ctx context.Context, d time.Duration, note string) error {
	o.tenure.say(ctx, note)
	// A stop is obeyed while nothing of the chunk has been handed on.
	if o.tenure.stopped() {
		return errStopped
	}
	if !pause(ctx, d) {
		return context.Cause(ctx)
	}
	if o.tenure.stopped() {
		return errStopped
	}
	return nil
}

// client waits until the org may be asked: the connection is there and not paused, and calls are left for reports (XC-9).
func (o *org) client(ctx context.Context) (*salesforce.Client, error) {
	for wait := o.cfg.WaitMin; ; wait = min(2*wait, o.cfg.WaitMax) {
		client, err := o.deps.Orgs.Client(o.run.GetWorkspace(), o.run.GetConnection())
		if errors.Is(err, orgs.ErrNotAuthorised) {
			return nil, fail(streamv1.Reason_REASON_SF_AUTH_REVOKED, "the connection is not authorised; connect the org, and start the run again")
		}
		why := "the settings have no such connection yet; the run waits for it"
		if err == nil {
			if why, err = o.isSame(); err != nil {
				return nil, err
			}
			if why == "" {
				why = o.bars(ctx, client)
			}
			if why == "" {
				return client, nil
			}
		}
		if err := o.wait(ctx, wait, why); err != nil {
			return nil, err
		}
	}
}

// bars tells why the org may not be asked now; "" when it may.
func (o *org) bars(ctx context.Context, client *salesforce.Client) string {
	if ws, ok := o.deps.Settings.View().Workspace(o.run.GetWorkspace()); ok {
		if c, ok := ws.Connection(o.run.GetConnection()); ok && c.GetPaused() {
			return "the connection is paused by an administrator; the run goes on when it is not"
		}
	}
	if !o.used(client) {
		return ""
	}
	// What the org said last may be old: nobody calls while all wait.
	if _, err := client.Limits(ctx); err == nil && !o.used(client) {
		return ""
	}
	return fmt.Sprintf("BUDGET_EXHAUSTED: %d %% of the org's calls of 24 hours are used; the run goes on when there are more again", o.cfg.QuotaTotal)
}

func (o *org) used(client *salesforce.Client) bool {
	usage, known := client.Usage()
	return known && usage.Share()*100 >= float64(o.cfg.QuotaTotal)
}

// reasonOf is the stable reason of a refusal.
func reasonOf(e *salesforce.Error) streamv1.Reason {
	if r, ok := streamv1.Reason_value["REASON_"+e.Reason]; ok {
		return streamv1.Reason(r)
	}
	return streamv1.Reason_REASON_SF_REJECTED
}
