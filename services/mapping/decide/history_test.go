package decide

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHistoryURLIsAnAddressOfItsOwn(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://app.example/people":       "https://app.example/people/key",
		"https://app.example/people/":      "https://app.example/people/key",
		"https://app.example/?person=":     "https://app.example/?person=key",
		"https://app.example/#/people?id=": "https://app.example/#/people?id=key",
		"":                                 "",
	} {
		require.Equal(t, want, historyURL(base, "key"))
	}
	require.Empty(t, historyURL("https://app.example/people", ""), "nobody known, no link")
}
