package app

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

func TestDeadLettersAreKeptForThirtyDays(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-7")
	specs := DefaultConfig().Topics.Specs()
	i := slices.IndexFunc(specs, func(s kafka.TopicSpec) bool { return s.Name == topic.DeadLetters })
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, 30*24*time.Hour, specs[i].Retention)
	require.False(t, specs[i].Compacted)
}
