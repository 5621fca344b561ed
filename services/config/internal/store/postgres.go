package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3/database"

	"github.com/throughline-dev/throughline/libs/secret"
)

// channel carries the revision of every save to the other replicas.
const channel = "throughline_settings"

// PostgresConfig bounds the use of one PostgreSQL database.
type PostgresConfig struct {
	// DSN is a URL or a list of keywords; sslmode and certificates are set in it.
	DSN secret.String
	// PasswordFile holds the password that DSN leaves out; empty: none. It is read for every new connection, so that a
	// changed password needs no restart.
	PasswordFile string
	// Plaintext allows a server beyond loopback without TLS, where the network itself is protected.
	Plaintext bool
	// MaxConns is the most connections of this process.
	MaxConns int
}

// OpenPostgres connects and migrates. Replicas may start at once: one of them migrates, the others wait.
func OpenPostgres(ctx context.Context, cfg PostgresConfig) (*Store, error) {
	conn, err := pgx.ParseConfig(cfg.DSN.Reveal())
	if err != nil {
		return nil, errors.New("open settings database: postgres_dsn is not a PostgreSQL connection string") // promise 8
	}
	if host := inTheClear(conn); host != "" && !cfg.Plaintext {
		return nil, fmt.Errorf("open settings database: postgres_dsn may reach %s without TLS: set sslmode=verify-full in it, "+
			"or postgres_plaintext if the network itself is protected", host)
	}
	// Read now as well, so that a missing file is named at once and not as a failed connection.
	if err := cfg.signIn(ctx, conn); err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*conn, stdlib.OptionBeforeConnect(cfg.signIn))
	db.SetMaxOpenConns(cfg.MaxConns)
	db.SetMaxIdleConns(cfg.MaxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := migrate(ctx, db, database.DialectPostgres); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &Store{
		read: db, write: db, saved: func() {},
		listen: func(ctx context.Context, changed func()) error { return listenPostgres(ctx, cfg, conn, changed) },
		dialect: dialect{
			name:        "postgres",
			placeholder: func(n int) string { return "$" + strconv.Itoa(n) },
			snapshot:    &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead},
			announce:    "SELECT pg_notify('" + channel + "', '')",
			lockRows:    " FOR UPDATE",
		},
	}
	return s, s.prepare(ctx)
}

// inTheClear returns a server beyond this machine to which the connection may be made without TLS, "" if there is none. The
// driver's default, sslmode=prefer, falls back to that.
func inTheClear(conn *pgx.ConnConfig) string {
	clear := func(host string, encrypted bool) bool {
		ip := net.ParseIP(host)
		local := strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
		return !encrypted && !local
	}
	if clear(conn.Host, conn.TLSConfig != nil) {
		return conn.Host
	}
	for _, other := range conn.Fallbacks {
		if clear(other.Host, other.TLSConfig != nil) {
			return other.Host
		}
	}
	return ""
}

// signIn fills the password in before a connection is made.
func (c PostgresConfig) signIn(_ context.Context, conn *pgx.ConnConfig) error {
	if c.PasswordFile == "" {
		return nil
	}
	data, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return fmt.Errorf("open settings database: postgres_password_file: %w", err)
	}
	conn.Password = strings.TrimRight(string(data), "\r\n")
	if conn.Password == "" {
		return fmt.Errorf("open settings database: postgres_password_file: %s is empty", c.PasswordFile)
	}
	return nil
}

// listenPostgres uses a connection of its own, outside the pool, until ctx ends or the connection breaks.
func listenPostgres(ctx context.Context, cfg PostgresConfig, server *pgx.ConnConfig, changed func()) error {
	server = server.Copy()
	if err := cfg.signIn(ctx, server); err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, server)
	if err != nil {
		return fmt.Errorf("listen for settings: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return fmt.Errorf("listen for settings: %w", err)
	}
	changed() // what was saved before the LISTEN took effect
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return fmt.Errorf("listen for settings: %w", err)
		}
		changed()
	}
}
