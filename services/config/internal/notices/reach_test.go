package notices

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// The blocks are those of IANA's special-purpose address registries that are not globally reachable, and those that lead to an
// IPv4 address inside.
func TestWhatIsNotPublic(t *testing.T) {
	t.Parallel()
	for _, ip := range []string{
		"127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "0.0.0.0", "0.1.2.3", "255.255.255.255", "240.0.0.1", "224.0.0.1",
		"169.254.169.254", // metadata of AWS, Azure, Google Cloud and others
		"100.100.100.200", // of Alibaba Cloud
		"192.0.0.192",     // of Oracle Cloud
		"168.63.129.16",   // Azure's virtual public IP, with its wire server
		"198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1",
		"::", "::1", "::ffff:10.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "fd00:ec2::254",
		"64:ff9b::a9fe:a9fe",  // 169.254.169.254 through NAT64
		"64:ff9b:1::a00:1",    // through a NAT64 of one's own
		"2002:a9fe:a9fe::1",   // 169.254.169.254 through 6to4
		"2001:0:a9fe:a9fe::1", // through Teredo
		"::169.254.169.254",   // IPv4-compatible
		"100::1", "2001:db8::1", "3fff::1", "5f00::1",
	} {
		require.Error(t, checkPublic(net.JoinHostPort(ip, "443")), ip)
	}
	for _, ip := range []string{"8.8.8.8", "192.0.1.1", "198.20.0.1", "2606:4700::1111", "2a00:1450::1"} {
		require.NoError(t, checkPublic(net.JoinHostPort(ip, "443")), ip)
	}
}
