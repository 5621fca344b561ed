package oracle_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/generator/world"
	"github.com/throughline-dev/throughline/services/oracle"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// bundle is an oracle over a world written by hand.
type bundle struct {
	*testing.T
	world  *world.World
	oracle *oracle.Oracle
	events int
}

// setup makes a world with two workspaces whose orgs work in New York and, without the package, in Tokyo.
func setup(t *testing.T) *bundle {
	t.Helper()
	day := func(n int) time.Time { return noon.AddDate(0, 0, -n) }
	users := []world.User{
		{ID: "005000000000001AAA", Email: "Owner@acme.example", Active: true, Language: "en_US", LastLoginAt: day(1)},
		{ID: "005000000000002AAA", Email: "gone@acme.example", Language: "en_US", LastLoginAt: day(1)},
		{ID: "005000000000003AAA", Email: "twins@acme.example", Active: true, Language: "ja", LastLoginAt: day(9)},
		{ID: "005000000000004AAA", Email: "twins@acme.example", Active: true, Language: "en_US", LastLoginAt: day(2)},
	}
	contents := []*world.Content{
		{ID: "film", Kind: world.Video, Title: "Film", URL: "https://x.example/film", LengthSeconds: 100, OwnerEmail: "owner@acme.example", OwnerName: "Olga Owner", Tracked: true},
		{ID: "clip", Kind: world.Video, Title: "Clip", URL: "https://x.example/clip", LengthSeconds: 4, Tracked: true},
		{ID: "stream", Kind: world.Video, Title: "Stream", URL: "https://x.example/stream", Tracked: true},
		{ID: "hidden", Kind: world.Video, Title: "Hidden", URL: "https://x.example/hidden", LengthSeconds: 50},
		{ID: "paper", Kind: world.Document, Title: "Paper: second “edition”", URL: "https://x.example/paper", Pages: 5, OwnerEmail: "twins@acme.example", Tracked: true},
	}
	acme := &world.Workspace{
		ID: "acme", Language: "en", Assignees: []world.Assignee{world.RecordOwner}, Contents: contents,
		HistoryURL: "https://app.example/acme/people",
		Org: world.Org{
			TimeZone: "America/New_York", Package: true, IntegrationUser: "005000000000009AAA", Users: users,
			Leads: []world.Lead{
				{ID: "00Q000000000001AAA", Email: "two@leads.example", OwnerID: users[0].ID, ModifiedAt: day(3), CreatedAt: day(30)},
				{ID: "00Q000000000002AAA", Email: "Two@Leads.example", OwnerID: users[1].ID, ModifiedAt: day(2), CreatedAt: day(40)},
				{ID: "00Q000000000003AAA", Email: "both@x.example", OwnerID: "00G000000000001AAA", ModifiedAt: day(9), CreatedAt: day(9)},
				{ID: "00Q000000000004AAA", Email: "old@x.example", Converted: true, ConvertedContactID: "003000000000002AAA", ModifiedAt: day(1), CreatedAt: day(9)},
				{ID: "00Q000000000005AAA", Email: "gone@x.example", Converted: true, ModifiedAt: day(1), CreatedAt: day(9)},
				{ID: "00Q000000000006AAA", Email: "tie@x.example", ModifiedAt: day(5), CreatedAt: day(8)},
				{ID: "00Q000000000007AAA", Email: "tie@x.example", ModifiedAt: day(5), CreatedAt: day(8)},
			},
			Contacts: []world.Contact{
				{ID: "003000000000001AAA", Email: "both@x.example", OwnerID: users[0].ID, AccountID: "001000000000001AAA", ModifiedAt: day(1), CreatedAt: day(9)},
				{ID: "003000000000002AAA", Email: "new@x.example", OwnerID: users[0].ID, AccountID: "001000000000002AAA", ModifiedAt: day(1), CreatedAt: day(9)},
			},
		},
	}
	tokyo := &world.Workspace{
		ID: "tokyo", Language: "ja", Assignees: []world.Assignee{world.ContentOwner}, Contents: contents,
		HistoryURL: "https://app.example/tokyo/people",
		Org:        world.Org{TimeZone: "Asia/Tokyo", Users: users, IntegrationUser: "005000000000009AAA"},
	}
	w := &world.World{Now: noon, Workspaces: []*world.Workspace{acme, tokyo}}
	o, err := oracle.New(w, oracle.DefaultOptions())
	require.NoError(t, err)
	return &bundle{T: t, world: w, oracle: o}
}

// raw takes bytes in as they are.
func (b *bundle) raw(value string) {
	b.oracle.Observe(oracle.Raw{
		Value: []byte(value), Headers: []oracle.Header{{Key: "content-type", Value: []byte("application/cloudevents+json")}},
	})
}

// act takes one event in, some seconds before noon, and returns its text.
func (b *bundle) act(workspace, session, content, kind string, before int, more string) string {
	b.events++
	owner, length, pages := "", 0.0, 0
	for _, c := range b.world.Workspaces[0].Contents {
		if c.ID == content {
			owner, length, pages = c.OwnerEmail, c.LengthSeconds, c.Pages
		}
	}
	value := fmt.Sprintf(`{"specversion":"1.0","id":"e%d","source":"/t","type":"throughline.%s.v1","time":%q,`+
		`"workspace":%q,"session":%q,"data":{"content":{"id":%q,"ownerEmail":%q,"lengthSeconds":%g,"pageCount":%d}%s}}`,
		b.events, kind, noon.Add(-time.Duration(before)*time.Second).Format(time.RFC3339), workspace, session, content, owner,
		length, pages, more)
	b.raw(value)
	return value
}

func viewer(email, evidence string) string {
	return fmt.Sprintf(`,"viewer":{"email":%q,"evidence":%q}`, email, evidence)
}

func ranges(spans ...[2]float64) string {
	items := make([]string, 0, len(spans))
	for _, span := range spans {
		items = append(items, fmt.Sprintf(`{"from":%g,"to":%g}`, span[0], span[1]))
	}
	return `,"ranges":[` + strings.Join(items, ",") + "]"
}

// one returns the only expected row.
func (b *bundle) one() oracle.Engagement {
	b.Helper()
	rows := b.oracle.Expect().Engagements
	require.Len(b, rows, 1)
	return rows[0]
}

// task returns the only expected to-do.
func (b *bundle) task() oracle.Task {
	b.Helper()
	tasks := b.oracle.Expect().Tasks
	require.Len(b, tasks, 1)
	return tasks[0]
}
