package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/throughline-dev/throughline/libs/secret"
)

// Config says how to run the broker. The zero value is one in memory on a free loopback port.
type Config struct {
	// Dir keeps topics, records and committed offsets; "" keeps them in memory. A directory belongs to one broker at a time.
	Dir string `yaml:"dir"`
	// Sync flushes every batch to the disk.
	Sync bool `yaml:"sync"`
	// Listen is a loopback address; "" or port 0 takes a free port. A broker that restarts must keep its port, because
	// clients remember it.
	Listen string `yaml:"listen"`
	// Partitions of topics that are created without a count.
	Partitions int `yaml:"partitions"`
	// TLS, if set, is what the listener serves.
	TLS *tls.Config `yaml:"-"`
	// Users, if any, must authenticate with SASL.
	Users []User `yaml:"-"`
	// Logger gets the broker's warnings and errors.
	Logger *slog.Logger `yaml:"-"`
}

// User is a SASL user.
type User struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism, Name string
	Password        secret.String
	// Limited users may do what ACLs say; others may do everything.
	Limited bool
}

// Broker is a running broker.
type Broker struct {
	cluster *kfake.Cluster
	addrs   []string
	close   sync.Once
}

// Start starts a broker that listens when Start returns.
func Start(cfg Config) (*Broker, error) {
	port, err := cfg.port()
	if err != nil {
		return nil, err
	}
	if cfg.Partitions == 0 {
		cfg.Partitions = 6
	}
	opts := []kfake.Opt{
		kfake.Ports(port),
		kfake.DefaultNumPartitions(cfg.Partitions),
		kfake.ClusterID("throughline"),
		kfake.GroupMinSessionTimeout(time.Second),
	}
	if cfg.Logger != nil {
		opts = append(opts, kfake.WithLogger(logger{cfg.Logger}))
	}
	if cfg.Dir != "" {
		opts = append(opts, kfake.DataDir(cfg.Dir))
	}
	if cfg.Sync {
		opts = append(opts, kfake.SyncWrites())
	}
	if cfg.TLS != nil {
		opts = append(opts, kfake.TLS(cfg.TLS))
	}
	if len(cfg.Users) > 0 {
		opts = append(opts, kfake.EnableSASL())
	}
	for _, u := range cfg.Users {
		opts = append(opts, u.option())
		if u.Limited {
			opts = append(opts, kfake.EnableACLs())
		}
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	return &Broker{cluster: cluster, addrs: cluster.ListenAddrs()}, nil
}

func (u User) option() kfake.Opt {
	if u.Limited {
		return kfake.User(u.Mechanism, u.Name, u.Password.Reveal())
	}
	return kfake.Superuser(u.Mechanism, u.Name, u.Password.Reveal())
}

func (c Config) port() (int, error) {
	if c.Listen == "" {
		return 0, nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return 0, fmt.Errorf("embedded broker: listen: %w", err)
	}
	if ip := net.ParseIP(host); host != "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return 0, errors.New("embedded broker: listen must be a loopback address; it has no access control worth the name")
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return 0, fmt.Errorf("embedded broker: listen: %q is no port", port)
	}
	return n, nil
}

// Addr returns the addresses to connect to.
func (b *Broker) Addr() []string { return append([]string(nil), b.addrs...) }

// Close stops the broker and, with a directory, writes what makes the next start quick. Safe to call twice.
func (b *Broker) Close() { b.close.Do(b.cluster.Close) }

// logger passes kfake's log on from warnings upwards.
type logger struct{ to *slog.Logger }

// Logf is kfake.Logger.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.to.Error("embedded broker: " + fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.to.Warn("embedded broker: " + fmt.Sprintf(format, args...))
	default:
	}
}
