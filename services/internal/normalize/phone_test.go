package normalize_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/internal/normalize"
)

func TestPhoneComparesNumbers(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-31")
	for raw, region := range map[string]string{
		"+819012345678": "", "+81 90-1234-5678": "", " +81 (0)90 1234 5678 ": "", "090-1234-5678": "JP", "０９０１２３４５６７８": "JP",
		"090 1234 5678": "jp", "+81 90 1234 5678 ext. 12": "US", "010 81 90 1234 5678": "JP",
	} {
		got, err := normalize.Phone(raw, region)
		require.NoError(t, err, raw)
		require.Equal(t, "+819012345678", got, raw)
		again, err := normalize.Phone(got, "")
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	other, err := normalize.Phone("090-1234-5678", "DE")
	require.NoError(t, err)
	require.NotEqual(t, "+819012345678", other, "the same digits elsewhere are another number")
}

func TestPhoneRefusesWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]error{
		"": normalize.ErrPhoneEmpty, " \t": normalize.ErrPhoneEmpty, "090-1234-5678": normalize.ErrPhoneRegion,
		"+1": normalize.ErrPhoneSyntax, "mia@viewer.example": normalize.ErrPhoneSyntax, "+999 12345678": normalize.ErrPhoneSyntax,
		"+81" + strings.Repeat("9", 200): normalize.ErrPhoneSyntax,
	} {
		_, err := normalize.Phone(raw, "")
		require.ErrorIs(t, err, want, raw)
		require.NotContains(t, err.Error(), "1234", "promise 8")
	}
}

func FuzzPhone(f *testing.F) {
	for _, raw := range []string{"+819012345678", "090-1234-5678", "＋８１", "tel:+1-201-555-0123;ext=7", "\x00+"} {
		f.Add(raw, "JP")
	}
	f.Fuzz(func(t *testing.T, raw, region string) {
		got, err := normalize.Phone(raw, region)
		if err != nil {
			return
		}
		require.Regexp(t, `^\+[1-9][0-9]{1,17}$`, got)
		again, err := normalize.Phone(got, "")
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
