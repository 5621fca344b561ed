package match_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/identity/match"
)

func TestTheStricterOfLeadAndContactWins(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-32")
	says := func(id string, p match.Preferences) match.Candidate { return match.Candidate{ID: id, Preferences: p} }
	track, process, forget := match.Preferences{OptedOutTracking: true}, match.Preferences{OptedOutProcessing: true}, match.Preferences{ShouldForget: true}
	for name, tc := range map[string]struct {
		candidates []match.Candidate
		want       match.Preferences
		by         string
	}{
		"nobody":            {nil, match.Preferences{}, ""},
		"nothing said":      {[]match.Candidate{says("a", match.Preferences{})}, match.Preferences{}, ""},
		"one of two":        {[]match.Candidate{says("a", match.Preferences{}), says("b", track)}, track, "b"},
		"both":              {[]match.Candidate{says("a", track), says("b", process)}, match.Preferences{OptedOutTracking: true, OptedOutProcessing: true}, "a"},
		"who is forgotten":  {[]match.Candidate{says("a", track), says("b", forget), says("c", forget)}, match.Preferences{OptedOutTracking: true, ShouldForget: true}, "b"},
		"not chosen either": {[]match.Candidate{{ID: "a", Converted: true, Preferences: process}, says("b", match.Preferences{})}, process, "a"},
	} {
		got, by := match.Strictest(tc.candidates)
		require.Equal(t, tc.want, got, name)
		require.Equal(t, tc.by != "", by != nil, name)
		if by != nil {
			require.Equal(t, tc.by, by.ID, name)
		}
	}
}
