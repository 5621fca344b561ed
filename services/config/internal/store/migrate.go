package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

// migrations go forward only: a mistake is corrected by the next one.
//
//go:embed migrations/*/*.sql
var migrations embed.FS

var migrationFolder = map[database.Dialect]string{
	database.DialectSQLite3:  "migrations/sqlite",
	database.DialectPostgres: "migrations/postgres",
}

// migrate brings the database up to this program's version, and refuses one that a newer program has migrated.
func migrate(ctx context.Context, db *sql.DB, dialect database.Dialect) error {
	files, err := fs.Sub(migrations, migrationFolder[dialect])
	if err != nil {
		return fmt.Errorf("migrate settings database: %w", err)
	}
	var options []goose.ProviderOption
	if dialect == database.DialectPostgres {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return fmt.Errorf("migrate settings database: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, db, files, options...)
	if err != nil {
		return fmt.Errorf("migrate settings database: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate settings database: %w", err)
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate settings database: %w", err)
	}
	if current > newest {
		return fmt.Errorf("settings database has version %d, this program knows %d: use a newer program", current, newest)
	}
	return nil
}
