package directory_test

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/directory"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fakeOrg answers the one shape of query that the directory sends.
type fakeOrg struct {
	rows map[string][]salesforce.Record
	// described are the fields of objects that differ from org to org; a query that names another of pairFields is refused.
	described map[string][]salesforce.FieldDescribe

	mu      sync.Mutex
	queries []string
	fail    error
	hang    bool
	// panics are the calls that panic.
	panics map[string]bool
	// describes counts describes of each object; noDescribe makes them fail.
	describes  map[string]int
	noDescribe error
	// tooMany refuses lists longer than this, as an org does that finds too much; 0 for no limit.
	tooMany int
}

var queryShape = regexp.MustCompile(`^SELECT ([\w., ]+) FROM (\w+) WHERE (\w+) IN \((.*)\)$`)

func (o *fakeOrg) Query(ctx context.Context, soql string) ([]salesforce.Record, error) {
	o.mu.Lock()
	o.queries = append(o.queries, soql)
	fail, hang, panics := o.fail, o.hang, o.panics["query"]
	o.mu.Unlock()
	if panics {
		panic(soql)
	}
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if fail != nil {
		return nil, fail
	}
	if rows, ok := o.like(soql); ok {
		return rows, nil
	}
	shape := queryShape.FindStringSubmatch(soql)
	if shape == nil {
		return nil, &salesforce.Error{Class: salesforce.ClassConfig, Code: "MALFORMED_QUERY"}
	}
	for _, field := range append(strings.Split(shape[1], ", "), shape[3]) {
		if pairFields[field] && !slices.ContainsFunc(o.described[shape[2]], func(d salesforce.FieldDescribe) bool { return d.Name == field }) {
			return nil, &salesforce.Error{Class: salesforce.ClassConfig, Code: "INVALID_FIELD", Detail: "No such column '" + field + "'"}
		}
	}
	values := map[string]bool{}
	list := strings.Split(shape[4], ",")
	if o.tooMany > 0 && len(list) > o.tooMany {
		return nil, &salesforce.Error{Class: salesforce.ClassUnknown, Code: salesforce.CodeTooLarge, Split: true}
	}
	for _, v := range list {
		values[strings.ToLower(strings.Trim(v, "'"))] = true
	}
	var found []salesforce.Record
	for _, row := range o.rows[shape[2]] {
		if !values[strings.ToLower(row.String(shape[3]))] {
			continue
		}
		answer := salesforce.Record{}
		for _, field := range strings.Split(shape[1], ", ") {
			name, _, _ := strings.Cut(field, ".") // "Account.OwnerId" brings the whole "Account"
			answer[name] = row[name]
		}
		found = append(found, answer)
	}
	return found, nil
}

var (
	likeShape   = regexp.MustCompile(`^SELECT [\w., ]+ FROM (\w+) WHERE (.* LIKE .*)$`)
	likePattern = regexp.MustCompile(`^(\w+) LIKE '%([^%']+)%'$`)
)

// like answers a query that compares fields with patterns.
func (o *fakeOrg) like(soql string) (found []salesforce.Record, ok bool) {
	shape := likeShape.FindStringSubmatch(soql)
	if shape == nil {
		return nil, false
	}
	for _, row := range o.rows[shape[1]] {
		if slices.ContainsFunc(strings.Split(shape[2], " OR "), func(condition string) bool {
			is := likePattern.FindStringSubmatch(condition)
			return is != nil && strings.Contains(strings.ToLower(row.String(is[1])), is[2])
		}) {
			found = append(found, row)
		}
	}
	return found, true
}

// pairFields exist in orgs with person accounts only.
var pairFields = map[string]bool{"IsPersonAccount": true, "PersonContactId": true, "PersonEmail": true}

func (o *fakeOrg) Describe(_ context.Context, object string) (*salesforce.ObjectDescribe, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.describes == nil {
		o.describes = map[string]int{}
	}
	o.describes[object]++
	if o.panics["describe"] {
		panic(object)
	}
	if o.noDescribe != nil || o.fail != nil {
		return nil, cmp.Or(o.noDescribe, o.fail)
	}
	return &salesforce.ObjectDescribe{Name: object, Queryable: true, Fields: o.described[object]}, nil
}

func (o *fakeOrg) set(change func(*fakeOrg)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(o)
}

// asked returns the queries since the last call.
func (o *fakeOrg) asked() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queries
	o.queries = nil
	return q
}

type fakeOrgs map[string]*fakeOrg

func (o fakeOrgs) Org(workspace, connection string) (directory.Org, error) {
	org, ok := o[workspace+"/"+connection]
	if !ok {
		return nil, fmt.Errorf("no connection %s in workspace %s", connection, workspace)
	}
	if org.panics["org"] {
		panic(connection)
	}
	return org, nil
}

type manualClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type bundle struct {
	*testing.T
	cfg   directory.Config
	org   *fakeOrg
	orgs  fakeOrgs
	clock *manualClock
	dir   *directory.Salesforce
}

func setup(t *testing.T, change ...func(*bundle)) *bundle {
	t.Helper()
	b := &bundle{T: t, cfg: directory.DefaultConfig(), clock: &manualClock{now: noon}}
	b.cfg.Timeout, b.cfg.Patience = time.Minute, time.Minute // no org here is slow, but the machine may be
	b.org = &fakeOrg{rows: map[string][]salesforce.Record{}}
	b.orgs = fakeOrgs{"acme/prod": b.org}
	for _, f := range change {
		f(b)
	}
	require.NoError(t, b.cfg.Validate())
	b.dir = directory.New(b.cfg, b.orgs, b.clock)
	return b
}

// lead, contact and user add rows to the org.
func (b *bundle) add(object string, row salesforce.Record) {
	for field, value := range map[string]any{
		"LastModifiedDate": "2026-02-01T00:00:00.000+0000", "CreatedDate": "2026-01-01T00:00:00.000+0000", "OwnerId": "005000000000001AAA",
	} {
		if _, ok := row[field]; !ok {
			row[field] = value
		}
	}
	b.org.rows[object] = append(b.org.rows[object], row)
}

func party(address string) directory.Party {
	if address == "" {
		return directory.Party{}
	}
	return directory.Party{Key: "key of " + address, Address: func() (directory.Address, error) { return directory.Address{Email: address}, nil }}
}

func ask(viewer, owner string) directory.Ask {
	return directory.Ask{Workspace: "acme", Connection: "prod", Viewer: party(viewer), Owner: party(owner)}
}

// look asks about viewers in one batch and requires answers.
func (b *bundle) look(viewers ...string) []directory.Answer {
	b.Helper()
	var asks []directory.Ask
	for _, v := range viewers {
		asks = append(asks, ask(v, ""))
	}
	answers := b.dir.Look(b.Context(), asks)
	for _, a := range answers {
		require.NoError(b, a.Err)
	}
	return answers
}

func idsOf(a directory.Answer) (ids []string) {
	for _, c := range a.Candidates {
		ids = append(ids, c.ID)
	}
	return ids
}

// slowOrg holds the answer about Leads back, once it has it, until something has changed.
type slowOrg struct {
	*fakeOrg
	answered, changed chan struct{}
	once              sync.Once
}

func (o *slowOrg) Query(ctx context.Context, soql string) ([]salesforce.Record, error) {
	records, err := o.fakeOrg.Query(ctx, soql)
	if strings.Contains(soql, "FROM Lead") {
		o.once.Do(func() {
			close(o.answered)
			<-o.changed
		})
	}
	return records, err
}

type oneOrg struct{ org directory.Org }

func (o oneOrg) Org(string, string) (directory.Org, error) { return o.org, nil }
