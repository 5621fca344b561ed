package sosl_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
	"github.com/throughline-dev/throughline/services/simulator/internal/sosl"
)

func TestParse(t *testing.T) {
	t.Parallel()
	s, err := sosl.Parse(`FIND {taro@customer.example} IN EMAIL FIELDS RETURNING Lead(Id, Name WHERE Company IN ('a)', 'b') ORDER BY Name LIMIT 5), Contact LIMIT 7`)
	require.NoError(t, err)
	require.Equal(t, []sosl.Word{{"taro", "customer", "example"}}, s.Words)
	require.Equal(t, "EMAIL", s.Group)
	require.Equal(t, 7, s.Limit)
	require.Len(t, s.Returning, 2)
	require.Equal(t, 5, s.Returning[0].Limit)
	require.Equal(t, "Contact", s.Returning[1].From.Text)
}

func TestWhatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "SELECT Id FROM Lead", "FIND {}  RETURNING Lead", "FIND {a b", "FIND {ab}", "FIND {ab} IN SOME FIELDS RETURNING Lead",
		"FIND {ab OR cd} RETURNING Lead", "FIND {(ab)} RETURNING Lead", `FIND {"ab} RETURNING Lead`, "FIND {ab} RETURNING Lead(Id",
		"FIND {ab} RETURNING Lead(COUNT(Id))", "FIND {ab} RETURNING Lead WITH SNIPPET", "FIND {ab} RETURNING Lead LIMIT 2001",
		"FIND {ab} RETURNING Lead(Id USING ListView=x)",
	} {
		_, err := sosl.Parse(text)
		var refused *soql.Error
		require.ErrorAs(t, err, &refused, text)
		require.Equal(t, sosl.Malformed, refused.Code, text)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	texts := []string{"Taro Yamada", "taro@customer.example", "+81 (3) 1234-5678"}
	for words, want := range map[string]bool{
		"taro": true, "TARO yamada": true, "tar": false, "tar*": true, "t?ro": true, `"yamada taro"`: false, `"taro yamada"`: true,
		"taro@customer.example": true, `\+81 \(3\) 1234\-5678`: true, "12345678": false, "1234-5678": true, "taro suzuki": false,
	} {
		parsed, err := sosl.ParseWords(words)
		require.NoError(t, err, words)
		require.Equal(t, want, sosl.Matches(parsed, texts), words)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`FIND {a\}b "c d" e*} IN NAME FIELDS RETURNING Lead(Id WHERE Name = 'x\'y)' LIMIT 1), Contact LIMIT 5`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := sosl.Parse(text)
		if err == nil && (len(s.Words) == 0 || len(s.Returning) == 0) {
			t.Errorf("nothing to search for or in: %q", text)
		}
	})
}
