package configbench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"

	"github.com/throughline-dev/throughline/libs/secret"
)

// keptSchema is the one that later runs find again.
const keptSchema = "bench_kept"

// schema makes a schema of the bench's own on the server and returns a DSN that leads to it, and what drops it unless it is kept.
func schema(ctx context.Context, server secret.String, keep bool) (dsn secret.String, drop func() error, err error) {
	u, err := url.Parse(server.Reveal())
	if err != nil {
		return dsn, nil, errors.New("the DSN must be a URL") // promise 8
	}
	name := fmt.Sprintf("bench_%d_%d", os.Getpid(), time.Now().UnixNano())
	db, err := sql.Open("pgx", server.Reveal())
	if err != nil {
		return dsn, nil, errors.New("the DSN is not one of PostgreSQL") // promise 8
	}
	if keep {
		name = keptSchema
	}
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+name); err != nil {
		return dsn, nil, errors.Join(err, db.Close())
	}
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return secret.New(u.String()), func() error {
		if keep {
			return db.Close()
		}
		_, err := db.ExecContext(context.WithoutCancel(ctx), "DROP SCHEMA "+name+" CASCADE")
		return errors.Join(err, db.Close())
	}, nil
}
