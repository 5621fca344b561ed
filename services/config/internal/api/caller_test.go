package api

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/peer"
)

// A limit by address would be none for who has a network of 2^64 of them.
func TestLimitsAreByHost(t *testing.T) {
	t.Parallel()
	from := func(ip string, port int) string {
		return addressOf(peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: port}}))
	}
	require.Equal(t, from("203.0.113.7", 1), from("203.0.113.7", 2))
	require.Equal(t, from("203.0.113.7", 1), from("::ffff:203.0.113.7", 1))
	require.NotEqual(t, from("203.0.113.7", 1), from("203.0.113.8", 1))
	require.Equal(t, from("2001:db8:1:2::1", 1), from("2001:db8:1:2:ffff::9", 2))
	require.NotEqual(t, from("2001:db8:1:2::1", 1), from("2001:db8:1:3::1", 1))
	require.Equal(t, "bufconn", addressOf(peer.NewContext(t.Context(), &peer.Peer{Addr: &net.UnixAddr{Name: "bufconn"}})))
}
