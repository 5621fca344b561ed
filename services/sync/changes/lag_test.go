package changes

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheLagIsThatOfTheSubscriptionFurthestBehind(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	one, two, three := &lag{heard: began}, &lag{heard: began}, &lag{heard: began}
	var s stats
	require.Zero(t, s.behind(at(100)), "nothing is to be read")
	leave := s.follow(one)
	s.follow(two)
	s.follow(three)
	three.missing(true)
	require.Equal(t, 10*time.Second, s.behind(at(10)), "one and two do not stand yet; three cannot")

	one.received(at(20), at(13))
	two.received(at(20), at(20))
	require.Equal(t, 7*time.Second, s.behind(at(60)), "an event came seven seconds late")
	one.received(at(61), at(61))
	require.Zero(t, s.behind(at(90)), "the org says that nothing waits")
	two.broke()
	require.Equal(t, 70*time.Second, s.behind(at(90)), "since it was last heard of")
	two.received(at(91), at(95))
	require.Zero(t, s.behind(at(91)), "an org's clock may be ahead")
	one.broke()
	leave()
	require.Zero(t, s.behind(at(200)), "its connection is gone")
}
