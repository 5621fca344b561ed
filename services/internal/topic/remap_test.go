package topic_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/internal/topic"
)

func TestRemapTexts(t *testing.T) {
	t.Parallel()
	for _, r := range []*topic.Remap{{}, {Integration: "task", WriteKey: "k/1"}, {Integration: "task", WriteKey: "k", Then: true}} {
		got, ok := topic.ParseRemap(r.String())
		require.True(t, ok)
		require.Equal(t, r, got)
	}
	for _, bad := range []string{"", "task", "task/", "/key", "=", "=task", "=*"} {
		_, ok := topic.ParseRemap(bad)
		require.False(t, ok, bad)
	}
}
