package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[float64][2]string{
		0: {"0 s", "0秒"}, 0.4: {"0 s", "0秒"}, 59.6: {"1 min", "1分"}, 61: {"1 min 1 s", "1分1秒"},
		3600: {"1 h", "1時間"}, 3723.4: {"1 h 2 min 3 s", "1時間2分3秒"}, 90061: {"25 h 1 min 1 s", "25時間1分1秒"},
		3605: {"1 h 5 s", "1時間5秒"},
	} {
		require.Equal(t, want, [2]string{english.duration(seconds), japanese.duration(seconds)})
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 0, 30, 0, 0, must(LoadZone("Asia/Tokyo")))
	require.Equal(t, "March 2, 2026", english.date(at))
	require.Equal(t, "2026年3月2日", japanese.date(at))
	require.Equal(t, "March 2, 2026 00:30 (JST)", english.dateTime(at))
	require.Equal(t, "2026年3月2日 00:30 (JST)", japanese.dateTime(at))
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n        float64
		decimals int
		want     string
	}{
		{0, 2, "0"},
		{-0.001, 2, "0"},
		{7, 2, "7"},
		{999, 2, "999"},
		{1000, 2, "1,000"},
		{1234567.891, 2, "1,234,567.89"},
		{-1234.5, 2, "-1,234.5"},
		{66.6666, 0, "67"},
		{66.6666, 1, "66.7"},
	} {
		require.Equal(t, c.want, formatNumber(c.n, c.decimals))
	}
}

func TestParseLanguage(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{"ja": true, "en": true, "en_US": true, "ja_JP": true, "de": false, "": false, "eng": false} {
		_, ok := parseLanguage(key)
		require.Equal(t, want, ok, key)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
