package fresh_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/identity/fresh"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestLog(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")

	t.Run("AnAnswerHoldsUntilWhatItNamesChanges", func(t *testing.T) {
		t.Parallel()
		l := fresh.New(10*time.Minute, 100)
		asked := l.Now()
		require.True(t, l.Fresh("acme", asked, true, "00Q1", "key"))
		l.Changed("acme", []string{"00Q2"}, noon)
		l.Changed("globex", []string{"00Q1"}, noon)
		require.True(t, l.Fresh("acme", asked, true, "00Q1", "key"), "neither another record nor another org matters")
		l.Changed("acme", []string{"00Q1"}, noon)
		require.False(t, l.Fresh("acme", asked, true, "00Q1", "key"))
		require.True(t, l.Fresh("acme", l.Now(), true, "00Q1", "key"), "what is asked afterwards holds")
	})

	t.Run("NobodyFoundHoldsUntilSomebodyMayHaveAppeared", func(t *testing.T) {
		t.Parallel()
		l := fresh.New(10*time.Minute, 100)
		asked := l.Now()
		l.Appeared("acme")
		require.False(t, l.Fresh("acme", asked, false, "key"))
		require.True(t, l.Fresh("acme", asked, true, "key", "00Q1"), "who was found is still there")
	})

	t.Run("EverythingMayHaveChanged", func(t *testing.T) {
		t.Parallel()
		l := fresh.New(10*time.Minute, 100)
		asked := l.Now()
		l.Everything("acme")
		require.False(t, l.Fresh("acme", asked, true, "00Q1"))
		require.True(t, l.Fresh("globex", asked, true, "00Q1"))
		l.Restart()
		require.False(t, l.Fresh("globex", asked, true, "00Q1"))
		require.True(t, l.Fresh("globex", l.Now(), true, "00Q1"))
	})

	t.Run("MoreThanItRemembersCountsAsEverything", func(t *testing.T) {
		t.Parallel()
		l := fresh.New(10*time.Minute, 2)
		asked := l.Now()
		l.Changed("acme", []string{"1", "2"}, noon)
		require.True(t, l.Fresh("acme", asked, true, "4"))
		l.Changed("acme", []string{"3"}, noon)
		require.False(t, l.Fresh("acme", asked, true, "4"))
	})
}

// Whatever changes in whatever order and at whatever time: an answer that is at most keep old is never taken for fresh after
// a change of what it names.
func TestNoChangeIsForgottenTooEarly(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	rapid.Check(t, func(t *rapid.T) {
		const keep = 10 * time.Minute
		l := fresh.New(keep, rapid.IntRange(1, 20).Draw(t, "limit"))
		now := noon
		type answer struct {
			name  string
			asked fresh.Mark
			at    time.Time
			stale bool
		}
		var answers []answer
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "seconds")) * time.Second)
			name := strconv.Itoa(rapid.IntRange(0, 5).Draw(t, "name"))
			if rapid.Bool().Draw(t, "ask") {
				answers = append(answers, answer{name: name, asked: l.Now(), at: now})
				continue
			}
			l.Changed("acme", []string{name}, now)
			for i := range answers {
				answers[i].stale = answers[i].stale || answers[i].name == name
			}
			for _, a := range answers {
				if a.stale && now.Sub(a.at) < keep {
					require.False(t, l.Fresh("acme", a.asked, true, a.name))
				}
			}
		}
	})
}
