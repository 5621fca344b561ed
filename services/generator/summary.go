package generator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// Summary describes a stream by what is in it.
type Summary struct {
	Events   int
	Bytes    int
	Sessions int
	// Kinds counts well-formed CloudEvents in JSON by type; Formats all events by content type.
	Kinds, Formats map[string]int
	// Malformed counts by what is wrong.
	Malformed map[Malformation]int
	// Repeated ids, and events that arrived after a later one of their session.
	Repeated, Disordered int
	// Lengths are the events per session; Popularity the sessions' first contents, most looked at first.
	Lengths, Popularity []int
	First, Last         time.Time
}

// sighting is what the summary remembers of a session.
type sighting struct {
	events int
	latest time.Time
}

// Summarize reads a whole stream. It remembers every event id, so it is for looking, not for load.
func Summarize(events iter.Seq[Event]) *Summary {
	s := &Summary{Kinds: map[string]int{}, Formats: map[string]int{}, Malformed: map[Malformation]int{}}
	sessions, contents, ids := map[string]*sighting{}, map[string]int{}, map[string]bool{}
	for e := range events {
		s.Events++
		s.Bytes += len(e.Value)
		s.Formats[string(e.Headers[0].Value)]++
		seen := sessions[string(e.Key)]
		if seen == nil {
			seen = &sighting{}
			sessions[string(e.Key)] = seen
		}
		seen.events++
		if e.Malformed != WellFormed {
			s.Malformed[e.Malformed]++
			continue
		}
		s.order(seen, e.At)
		s.look(e, seen.events == 1, contents, ids)
	}
	s.Sessions = len(sessions)
	for _, seen := range sessions {
		s.Lengths = append(s.Lengths, seen.events)
	}
	s.Popularity = slices.Collect(maps.Values(contents))
	slices.Sort(s.Lengths)
	slices.SortFunc(s.Popularity, func(a, b int) int { return cmp.Compare(b, a) })
	return s
}

// order notes the span of time and whether the event came after a later one.
func (s *Summary) order(seen *sighting, at time.Time) {
	if at.Before(seen.latest) {
		s.Disordered++
	} else {
		seen.latest = at
	}
	if s.First.IsZero() || at.Before(s.First) {
		s.First = at
	}
	if at.After(s.Last) {
		s.Last = at
	}
}

// look reads what can be read of a structured event.
func (s *Summary) look(e Event, first bool, contents map[string]int, ids map[string]bool) {
	var body struct {
		ID, Type string
		Data     struct{ Content struct{ ID string } }
	}
	if json.Unmarshal(e.Value, &body) != nil || body.ID == "" {
		return
	}
	s.Kinds[body.Type]++
	if ids[body.ID] {
		s.Repeated++
	}
	ids[body.ID] = true
	if first {
		contents[body.Data.Content.ID]++
	}
}

// String is the summary as text with small histograms.
func (s *Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d events of %d sessions, %d bytes each on average, from %s to %s\n", s.Events, s.Sessions,
		s.Bytes/max(1, s.Events), s.First.Format(time.TimeOnly), s.Last.Format(time.TimeOnly))
	b.WriteString("\nformat\n")
	histogram(&b, s.Formats)
	b.WriteString("\ntype (of the JSON events)\n")
	histogram(&b, s.Kinds)
	fmt.Fprintf(&b, "\nrepeated (of the JSON events)  %d\nafter a later event of the session  %d\n", s.Repeated, s.Disordered)
	b.WriteString("\nmalformed\n")
	malformed := make(map[string]int)
	for m, n := range s.Malformed {
		malformed[m.String()] = n
	}
	histogram(&b, malformed)
	b.WriteString("\nevents per session\n")
	histogram(&b, buckets(s.Lengths))
	b.WriteString("\nsessions per content, by rank\n")
	histogram(&b, ranks(s.Popularity))
	return b.String()
}

// barWidth is the length of the longest bar.
const barWidth = 40

// histogram writes a line per key with a bar, in the keys' order.
func histogram(b *strings.Builder, counts map[string]int) {
	most, width := 1, 0
	for key, n := range counts {
		most, width = max(most, n), max(width, len(key))
	}
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		n := counts[key]
		fmt.Fprintf(b, "  %-*s %7d %s\n", width, key, n, strings.Repeat("█", (n*barWidth+most-1)/most))
	}
}

// buckets groups lengths in powers of two.
func buckets(lengths []int) map[string]int {
	out := make(map[string]int)
	for _, n := range lengths {
		low := 1
		for low*2 <= n {
			low *= 2
		}
		out[fmt.Sprintf("%4d–%d", low, 2*low-1)]++
	}
	return out
}

// ranks groups contents by rank, in powers of two.
func ranks(popularity []int) map[string]int {
	out := make(map[string]int)
	for i, n := range popularity {
		low := 1
		for low*2 <= i+1 {
			low *= 2
		}
		out[fmt.Sprintf("%4d–%d", low, 2*low-1)] += n
	}
	return out
}
