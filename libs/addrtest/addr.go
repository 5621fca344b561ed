package addrtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
)

// The ports lie below those that systems give out by themselves: Linux begins at 32768, the others at 49152.
const (
	first = 12000
	ports = 20000
)

// next is where to look next; another process begins at another place.
var next atomic.Uint32

func init() { next.Store(rand.Uint32N(ports)) }

// Free returns a loopback address, as host:port, that is free now and that no other call returns. Safe for parallel tests.
func Free(tb testing.TB) string {
	tb.Helper()
	var err error
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", first+next.Add(1)%ports)
		var l net.Listener
		if l, err = new(net.ListenConfig).Listen(tb.Context(), "tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	tb.Fatalf("no free port on the loopback interface: %v", err)
	return ""
}
