-- +goose Up

-- What somebody has entered and not finished. Rows go when expires_at is over.
CREATE TABLE drafts (
    workspace  TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    content    TEXT NOT NULL,
    saved_at   BIGINT NOT NULL,
    saved_by   TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, kind, id)
);
CREATE INDEX drafts_by_expiry ON drafts (expires_at);
