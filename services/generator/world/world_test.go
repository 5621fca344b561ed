package world_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/generator/world"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func config() world.Config {
	return world.Config{Seed: 7, Now: noon, Workspaces: world.DefaultWorkspaces(), Viewers: 400, Contents: 150}
}

func build(t *testing.T) *world.World {
	t.Helper()
	w, err := world.New(config())
	require.NoError(t, err)
	return w
}

func TestWorldsRepeat(t *testing.T) {
	t.Parallel()
	one, two := build(t), build(t)
	require.Equal(t, one, two)
	fewer := config()
	fewer.Workspaces = fewer.Workspaces[:1]
	w, err := world.New(fewer)
	require.NoError(t, err)
	require.Equal(t, build(t).Workspaces[0], w.Workspaces[0], "one more workspace leaves the others as they are")
}

func TestIDsAreUniqueAndWellFormed(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	check := func(prefix, id string) {
		require.Len(t, id, 18)
		require.True(t, strings.HasPrefix(id, prefix), id)
		require.False(t, seen[id], id)
		seen[id] = true
	}
	for _, ws := range build(t).Workspaces {
		check("00D", ws.Org.ID)
		for _, u := range ws.Org.Users {
			check("005", u.ID)
		}
		for _, q := range ws.Org.Queues {
			check("00G", q.ID)
		}
		for _, a := range ws.Org.Accounts {
			check("001", a.ID)
		}
		for _, l := range ws.Org.Leads {
			check("00Q", l.ID)
		}
		for _, c := range ws.Org.Contacts {
			check("003", c.ID)
		}
	}
}

func TestOrgsAreConsistent(t *testing.T) {
	t.Parallel()
	w := build(t)
	for _, ws := range w.Workspaces {
		owners := map[string]bool{}
		inactive := 0
		for _, u := range ws.Org.Users {
			owners[u.ID] = true
			if !u.Active {
				inactive++
			}
		}
		require.NotZero(t, inactive)
		for _, c := range ws.Org.Contacts {
			require.True(t, owners[c.OwnerID], "a contact's owner is a user")
			require.False(t, c.ModifiedAt.Before(c.CreatedAt))
			require.True(t, c.ModifiedAt.Before(w.Now))
		}
		queues := 0
		for _, l := range ws.Org.Leads {
			if strings.HasPrefix(l.OwnerID, "00G") {
				queues++
			} else {
				require.True(t, owners[l.OwnerID])
			}
			require.False(t, l.ModifiedAt.Before(l.CreatedAt))
			require.True(t, l.ModifiedAt.Before(w.Now))
			converted := slices.ContainsFunc(ws.Org.Contacts, func(c world.Contact) bool { return c.ID == l.ConvertedContactID })
			require.Equal(t, l.ConvertedContactID != "", converted)
			require.True(t, l.ConvertedContactID == "" || l.Converted)
		}
		require.NotZero(t, queues)
	}
}

func TestEveryCaseOccurs(t *testing.T) {
	t.Parallel()
	w := build(t)
	for i, ws := range w.Workspaces {
		categories := make(map[world.Category]int)
		addresses := make(map[string]bool)
		for _, v := range ws.Viewers {
			categories[v.Category]++
			require.Equal(t, v.Email, v.Spellings[0])
			require.False(t, addresses[v.Email], "viewers have addresses of their own")
			addresses[v.Email] = true
		}
		for _, c := range []world.Category{
			world.OneLead, world.OneContact, world.LeadAndContact, world.SeveralLeads, world.SeveralContacts,
			world.SeveralOfBoth, world.EqualModified, world.EqualDates, world.Converted, world.ConvertedElsewhere,
			world.ConvertedGone, world.Unknown,
		} {
			require.NotZero(t, categories[c], c)
		}
		require.Equal(t, i == 0, categories[world.SharedMailbox] == 1)
		kinds := map[string]int{}
		for _, c := range ws.Contents {
			kinds[string(c.Kind)]++
			require.NotEmpty(t, c.Title)
			require.LessOrEqual(t, len([]rune(c.Title)), 1024)
			switch {
			case c.Kind == world.Video && c.LengthSeconds == 0:
				kinds["unknown length"]++
			case c.Kind == world.Document:
				require.Positive(t, c.Pages)
			}
			if !c.Tracks() {
				kinds["untracked"]++
			}
			if c.OwnerEmail == "" {
				kinds["no owner"]++
			}
			if len([]rune(c.Title)) > 255 {
				kinds["long title"]++
			}
		}
		for _, kind := range []string{"video", "document", "unknown length", "untracked", "no owner", "long title"} {
			require.NotZero(t, kinds[kind], kind)
		}
	}
	require.NotNil(t, w.Workspace("sakura"))
	require.Nil(t, w.Workspace("nobody"))
}

func TestSharesOfCategoriesAddUp(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Viewers = 5000
	w, err := world.New(cfg)
	require.NoError(t, err)
	counts := make(map[world.Category]int)
	for _, ws := range w.Workspaces {
		for _, v := range ws.Viewers {
			counts[v.Category]++
		}
	}
	require.InDelta(t, 0.34, float64(counts[world.OneLead])/15000, 0.02)
	require.InDelta(t, 0.12, float64(counts[world.Unknown])/15000, 0.02)
	require.InDelta(t, 0.02, float64(counts[world.EqualDates])/15000, 0.01)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := world.New(world.Config{})
	for _, key := range []string{"now:", "workspaces:", "viewers:", "contents:"} {
		require.ErrorContains(t, err, key)
	}
}
