package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func networks(t *testing.T, open Open) {
	s := open(t)
	var seen []store.Network
	remember := func(more ...store.Network) error {
		return s.AnnounceNetworks(t.Context(), func(known []store.Network) ([]store.Network, error) {
			seen = known
			return more, nil
		})
	}
	first := store.Network{Network: "203.0.113.0/28", AnnouncedAt: epoch}
	require.NoError(t, remember(first))
	require.Empty(t, seen)
	second := store.Network{Network: "198.51.100.0/28", AnnouncedAt: epoch, From: epoch.Add(31 * 24 * time.Hour)}
	require.NoError(t, remember(second, store.Network{Network: first.Network, AnnouncedAt: epoch.Add(time.Hour)}))
	refused := errors.New("too near")
	err := s.AnnounceNetworks(t.Context(), func([]store.Network) ([]store.Network, error) {
		return []store.Network{{Network: "192.0.2.0/28"}}, refused
	})
	require.ErrorIs(t, err, refused)
	require.NoError(t, remember())
	require.Equal(t, []store.Network{second, first}, seen, "what was announced stays as it was announced")
}
