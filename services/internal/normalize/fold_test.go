package normalize_test

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/internal/normalize"
)

func TestNoOtherLetterFoldsIntoASCII(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ren.kim@acme.example", normalize.Fold(" Ren.KIM@Acme.example\n"))
	require.Equal(t, "jörg@acme.example", normalize.Fold("JÖRG@acme.example"))
	for r := rune(utf8.RuneSelf); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		if folded := normalize.Fold("a" + string(r) + "b"); len(folded) < 4 {
			t.Errorf("%U became ASCII: %q", r, folded)
		}
	}
}
