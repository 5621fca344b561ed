package addrtest_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/addrtest"
)

func TestAddressesDifferAndStayOutOfTheSystemsRange(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		addr := addrtest.Free(t)
		require.False(t, seen[addr], addr)
		seen[addr] = true
		_, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		n, err := strconv.Atoi(port)
		require.NoError(t, err)
		require.True(t, n >= 1024 && n < 32768, addr)
		l, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
}

func TestATakenPortIsPassedOver(t *testing.T) {
	t.Parallel()
	for range 50 {
		l, err := net.Listen("tcp", addrtest.Free(t))
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		require.NotEqual(t, l.Addr().String(), addrtest.Free(t))
	}
}
