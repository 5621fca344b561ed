-- +goose Up

-- What somebody has entered and not finished. Rows go when expires_at is over.
CREATE TABLE drafts (
    workspace  TEXT NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    version    INTEGER NOT NULL,
    content    TEXT NOT NULL,
    saved_at   INTEGER NOT NULL,
    saved_by   TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, kind, id)
);
CREATE INDEX drafts_by_expiry ON drafts (expires_at);
