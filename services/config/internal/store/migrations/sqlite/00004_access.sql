-- +goose Up

-- Who may touch a workspace. email_hash is a keyed hash of the address that the member first signs in with; it is gone once
-- subject is known.
CREATE TABLE members (
    workspace  TEXT NOT NULL,
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    role       INTEGER NOT NULL,
    subject    TEXT,
    email_hash BLOB,
    version    INTEGER NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX members_by_subject ON members (subject, workspace) WHERE subject IS NOT NULL;
CREATE INDEX members_invited ON members (workspace) WHERE email_hash IS NOT NULL;

-- Operators of the platform who may read a workspace's data for a while.
CREATE TABLE operator_access (
    workspace  TEXT NOT NULL,
    id         TEXT NOT NULL,
    operator   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    granted_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX operator_access_by_operator ON operator_access (operator, expires_at) WHERE revoked_at IS NULL;

-- Sessions and one-time links, by the hash of their secret. A session without subject is an administrator's.
CREATE TABLE sessions (
    hash       BLOB PRIMARY KEY,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    subject    TEXT,
    expires_at INTEGER NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_subject ON sessions (subject, expires_at) WHERE subject IS NOT NULL;

-- Every change of anything above and of every setting, written with it. Nothing in it is ever changed; rows go when they
-- are too old. changes is a list of fields, without secrets.
CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL,
    at        INTEGER NOT NULL,
    actor     TEXT NOT NULL,
    role      TEXT NOT NULL,
    action    TEXT NOT NULL,
    kind      TEXT NOT NULL,
    target    TEXT NOT NULL,
    version   INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    changes   BLOB NOT NULL
);
CREATE INDEX audit_by_workspace ON audit (workspace, seq);
CREATE INDEX audit_by_target ON audit (workspace, kind, target, version);
CREATE INDEX audit_by_time ON audit (at);

-- +goose StatementBegin
CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd
