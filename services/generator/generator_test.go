package generator_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	"github.com/throughline-dev/throughline/services/generator"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func config(events int) generator.Config {
	cfg := generator.DefaultConfig()
	cfg.Now, cfg.Events = noon, events
	return cfg
}

func newGenerator(t *testing.T, cfg generator.Config) *generator.Generator {
	t.Helper()
	g, err := generator.New(cfg)
	require.NoError(t, err)
	return g
}

func digest(g *generator.Generator) (sum [32]byte) {
	h := sha256.New()
	for e := range g.Events() {
		h.Write(e.Key)
		h.Write(e.Value)
		for _, header := range e.Headers {
			h.Write([]byte(header.Key))
			h.Write(header.Value)
		}
	}
	return [32]byte(h.Sum(nil))
}

func TestStreamsRepeat(t *testing.T) {
	t.Parallel()
	one, two := newGenerator(t, config(5000)), newGenerator(t, config(5000))
	want := digest(one)
	require.Equal(t, want, digest(one), "the second iteration of one generator")
	require.Equal(t, want, digest(two), "another generator of the same configuration")
	require.Equal(t, one.World(), two.World())

	other := config(5000)
	other.Seed++
	require.NotEqual(t, want, digest(newGenerator(t, other)))
	later := config(5000)
	later.Now = noon.Add(time.Millisecond)
	require.NotEqual(t, want, digest(newGenerator(t, later)))
}

func TestStreamsHaveExactlyTheEventsAskedFor(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 17, 1000, 5000} {
		count := 0
		for range newGenerator(t, config(n)).Events() {
			count++
		}
		require.Equal(t, n, count)
	}
}

func TestAnIterationCanBeLeft(t *testing.T) {
	t.Parallel()
	count := 0
	for range newGenerator(t, config(1000)).Events() {
		if count++; count == 10 {
			break
		}
	}
	require.Equal(t, 10, count)
}

func TestClonesLast(t *testing.T) {
	t.Parallel()
	var clones []generator.Event
	var copies [][]byte
	for e := range newGenerator(t, config(2000)).Events() {
		clones = append(clones, e.Clone())
		copies = append(copies, bytes.Clone(e.Value))
	}
	for i, e := range clones {
		require.NotNil(t, e.Value, "an empty value is not a tombstone")
		require.True(t, bytes.Equal(copies[i], e.Value))
	}
}

// head is the part of a structured event that the tests look at.
type head struct {
	ID, Type, Workspace, Session string
	Time                         time.Time
	Data                         struct {
		Content struct{ ID, OwnerEmail string }
		Viewer  *struct{ Email, Evidence string }
	}
}

func TestWellFormedEvents(t *testing.T) {
	t.Parallel()
	cfg := config(6000)
	formats := make(map[string]int)
	for e := range newGenerator(t, cfg).Events() {
		if e.Malformed != generator.WellFormed {
			continue
		}
		require.False(t, e.At.Before(noon.Add(-cfg.Window)), "before the window")
		require.True(t, e.At.Before(noon), "in the future")
		contentType := string(e.Headers[0].Value)
		formats[contentType]++
		switch contentType {
		case "application/protobuf":
			var m sourcev1.ViewingEvent
			require.NoError(t, proto.Unmarshal(e.Value, &m))
			require.Equal(t, string(e.Key), m.GetSession())
			require.True(t, e.At.Equal(m.GetTime().AsTime()))
			requireUUID(t, m.GetId(), e.At)
		case "application/json":
			require.True(t, json.Valid(e.Value))
			require.Len(t, e.Headers, 8)
			requireUUID(t, string(e.Headers[2].Value), e.At)
		default:
			var h head
			require.NoError(t, json.Unmarshal(e.Value, &h))
			require.Equal(t, string(e.Key), h.Session)
			require.True(t, e.At.Equal(h.Time))
			requireUUID(t, h.ID, e.At)
		}
	}
	require.Len(t, formats, 3)
}

func requireUUID(t *testing.T, id string, at time.Time) {
	t.Helper()
	u, err := uuid.Parse(id)
	require.NoError(t, err)
	require.Equal(t, uuid.Version(7), u.Version())
	require.Equal(t, uuid.RFC4122, u.Variant())
	var ms int64
	for _, b := range u[:6] {
		ms = ms<<8 | int64(b)
	}
	require.Equal(t, at.UnixMilli(), ms)
}

func TestEveryMalformationOccursAndIsOne(t *testing.T) {
	t.Parallel()
	cfg := config(12_000)
	cfg.Shares.Malformed, cfg.OversizeBytes = 0.05, 4<<10
	counts := make(map[generator.Malformation]int)
	for e := range newGenerator(t, cfg).Events() {
		if e.Malformed == generator.WellFormed {
			continue
		}
		counts[e.Malformed]++
		var h head
		err := json.Unmarshal(e.Value, &h)
		switch e.Malformed {
		case generator.GarbageBytes, generator.EmptyValue, generator.CutOff:
			require.Error(t, err, e.Malformed)
		case generator.BrokenProtobuf:
			require.Error(t, proto.Unmarshal(e.Value, &sourcev1.ViewingEvent{}))
		case generator.InvalidUTF8:
			require.False(t, utf8.Valid(e.Value))
		case generator.TooLarge:
			require.NoError(t, err)
			require.Greater(t, len(e.Value), cfg.OversizeBytes)
		case generator.WrongShape, generator.WrongType:
		case generator.MissingID:
			require.Empty(t, h.ID)
		case generator.MissingContent:
			require.Empty(t, h.Data.Content.ID)
		case generator.UnknownWorkspace:
			require.Equal(t, "nobody-knows-it", h.Workspace)
		case generator.FutureTime:
			require.True(t, h.Time.After(noon.Add(24*time.Hour)))
		case generator.AncientTime:
			require.True(t, h.Time.Before(noon.AddDate(-1, 0, 0)))
		case generator.SignedInWithoutAddress, generator.SignedInBadAddress:
			require.Equal(t, "signed_in", h.Data.Viewer.Evidence)
			require.NotContains(t, h.Data.Viewer.Email, "@")
		case generator.UnknownKind, generator.NegativeNumber:
			require.NoError(t, err)
		}
	}
	for _, m := range generator.Malformations() {
		require.NotZero(t, counts[m], m)
	}
}

func TestDistributionsAreWithinBounds(t *testing.T) {
	t.Parallel()
	cfg := config(40_000)
	s := generator.Summarize(newGenerator(t, cfg).Events())
	share := func(n int) float64 { return float64(n) / float64(s.Events) }
	malformed := 0
	for _, n := range s.Malformed {
		malformed += n
	}
	require.InDelta(t, 0.01, share(malformed), 0.003)
	json := s.Formats["application/cloudevents+json"] - malformed
	require.InDelta(t, 0.15, share(s.Formats["application/protobuf"]), 0.02)
	require.InDelta(t, 0.05, share(s.Formats["application/json"]), 0.01)
	require.InDelta(t, 0.02, float64(s.Repeated)/float64(json), 0.005)
	require.InDelta(t, 0.03, share(s.Disordered), 0.02)
	require.InDelta(t, 10, share(s.Sessions*100), 4, "sessions per hundred events")
	require.GreaterOrEqual(t, s.Lengths[len(s.Lengths)/2], 4, "median events per session")

	closes := s.Kinds["throughline.video.ended.v1"] + s.Kinds["throughline.document.closed.v1"]
	starts := s.Kinds["throughline.video.started.v1"] + s.Kinds["throughline.document.opened.v1"]
	require.InDelta(t, 1-cfg.Shares.TabKills, float64(closes)/float64(starts), 0.05)
	documents := float64(s.Kinds["throughline.document.opened.v1"]) / float64(starts)
	require.InDelta(t, cfg.Shares.Documents, documents, 0.03)
	require.NotZero(t, s.Kinds["throughline.video.cta_clicked.v1"])

	total, top := 0, 0
	for i, n := range s.Popularity {
		total += n
		if i < len(s.Popularity)/10 {
			top += n
		}
	}
	require.Greater(t, float64(top)/float64(total), 0.35, "a tenth of the contents")
	require.Less(t, float64(top)/float64(total), 0.8, "but there is a tail")
	require.WithinDuration(t, noon.Add(-cfg.Window), s.First, time.Minute)
	require.WithinDuration(t, noon.Add(-30*time.Minute), s.Last, 31*time.Minute)
	require.Contains(t, s.String(), "events per session")
}

func TestWhoIsKnown(t *testing.T) {
	t.Parallel()
	cfg := config(15_000)
	cfg.Shares.Protobuf, cfg.Shares.Binary, cfg.Shares.Malformed = 0, 0, 0
	sessions := make(map[string]map[string]bool)
	own, spaces := 0, 0
	for e := range newGenerator(t, cfg).Events() {
		var h head
		require.NoError(t, json.Unmarshal(e.Value, &h))
		if sessions[h.Session] == nil {
			sessions[h.Session] = make(map[string]bool)
		}
		email := ""
		if v := h.Data.Viewer; v != nil {
			email = v.Email
			if v.Evidence == "signed_in" && strings.EqualFold(email, h.Data.Content.OwnerEmail) {
				own++
			}
			if strings.TrimSpace(email) != email {
				spaces++
			}
		}
		sessions[h.Session][email] = true
	}
	anonymous, several := 0, 0
	for _, emails := range sessions {
		if len(emails) == 1 && emails[""] {
			anonymous++
		}
		if len(emails) > 1 {
			several++
		}
	}
	require.InDelta(t, cfg.Shares.Anonymous, float64(anonymous)/float64(len(sessions)), 0.03)
	require.InDelta(t, cfg.Shares.BecomesKnown+cfg.Shares.ChangesEvidence, float64(several)/float64(len(sessions)), 0.04)
	require.NotZero(t, own)
	require.NotZero(t, spaces)
}

func TestConfigNamesTheKeyThatIsOutOfBounds(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*generator.Config){
		"events":                  func(c *generator.Config) { c.Events = 0 },
		"now":                     func(c *generator.Config) { c.Now = time.Time{} },
		"window":                  func(c *generator.Config) { c.Window = time.Minute },
		"report_every":            func(c *generator.Config) { c.ReportEvery = 0 },
		"oversize_bytes":          func(c *generator.Config) { c.OversizeBytes = 0 },
		"viewers":                 func(c *generator.Config) { c.Viewers = 0 },
		"contents":                func(c *generator.Config) { c.Contents = 1 },
		"workspaces":              func(c *generator.Config) { c.Workspaces = nil },
		"workspaces[0].id":        func(c *generator.Config) { c.Workspaces[0].ID = "Not An Id" },
		"workspaces[1].id":        func(c *generator.Config) { c.Workspaces[1].ID = c.Workspaces[0].ID },
		"workspaces[0].language":  func(c *generator.Config) { c.Workspaces[0].Language = "de" },
		"workspaces[0].time_zone": func(c *generator.Config) { c.Workspaces[0].TimeZone = "Mars/Olympus" },
		"workspaces[0].weight":    func(c *generator.Config) { c.Workspaces[0].Weight = -1 },
		"workspaces[0].assignees": func(c *generator.Config) { c.Workspaces[0].Assignees = append(c.Workspaces[0].Assignees, "x") },
		"shares.documents":        func(c *generator.Config) { c.Shares.Documents = 1.1 },
		"shares.anonymous":        func(c *generator.Config) { c.Shares.Anonymous = -0.1 },
		"shares.who":              func(c *generator.Config) { c.Shares.Anonymous, c.Shares.OwnViews = 0.6, 0.6 },
		"shares.formats":          func(c *generator.Config) { c.Shares.Protobuf = 1 },
		"shares.delays":           func(c *generator.Config) { c.Shares.Late = 1 },
		"shares.malformed":        func(c *generator.Config) { c.Shares.Malformed = 1 },
		"shares.becomes_known":    func(c *generator.Config) { c.Shares.BecomesKnown = math.NaN() },
		"shares.duplicates":       func(c *generator.Config) { c.Shares.Duplicates = 2 },
		"shares.tab_kills":        func(c *generator.Config) { c.Shares.TabKills = 2 },
		"shares.several_contents": func(c *generator.Config) { c.Shares.SeveralContents = 2 },
		"shares.own_views":        func(c *generator.Config) { c.Shares.OwnViews = 2 },
		"shares.changes_evidence": func(c *generator.Config) { c.Shares.ChangesEvidence = 2 },
		"shares.bad_address":      func(c *generator.Config) { c.Shares.BadAddress = 2 },
		"shares.returns":          func(c *generator.Config) { c.Shares.Returns = 2 },
		"shares.out_of_order":     func(c *generator.Config) { c.Shares.OutOfOrder = 2 },
		"shares.binary":           func(c *generator.Config) { c.Shares.Binary = 2 },
		"shares.late":             func(c *generator.Config) { c.Shares.Late = 2 },
		"shares.protobuf":         func(c *generator.Config) { c.Shares.Protobuf = -1 },
	}
	for key, breakIt := range tests {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			cfg := config(10)
			breakIt(&cfg)
			_, err := generator.New(cfg)
			require.ErrorContains(t, err, key+":")
		})
	}
}

func TestPresets(t *testing.T) {
	t.Parallel()
	require.Contains(t, generator.Presets(), "demo")
	for _, name := range generator.Presets() {
		cfg, err := generator.Preset(name)
		require.NoError(t, err)
		cfg.Now, cfg.Events = noon, 500
		count := 0
		for range newGenerator(t, cfg).Events() {
			count++
		}
		require.Equal(t, 500, count, name)
	}
	_, err := generator.Preset("nonsense")
	require.ErrorContains(t, err, "demo")
}

// BenchmarkEvents measures making and writing events, one iteration per event.
func BenchmarkEvents(b *testing.B) {
	cfg := config(1 << 30)
	g, err := generator.New(cfg)
	require.NoError(b, err)
	b.ReportAllocs()
	n, size := 0, 0
	b.ResetTimer()
	for e := range g.Events() {
		size += len(e.Value)
		if n++; n >= b.N {
			break
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(size)/float64(b.N), "B/event")
}
