-- +goose Up

-- Who may touch a workspace. email_hash is a keyed hash of the address that the member first signs in with; it is gone once
-- subject is known.
CREATE TABLE members (
    workspace  TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    name       TEXT NOT NULL,
    role       BIGINT NOT NULL,
    subject    TEXT COLLATE "C",
    email_hash BYTEA,
    version    BIGINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX members_by_subject ON members (subject, workspace) WHERE subject IS NOT NULL;
CREATE INDEX members_invited ON members (workspace) WHERE email_hash IS NOT NULL;

-- Operators of the platform who may read a workspace's data for a while.
CREATE TABLE operator_access (
    workspace  TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    operator   TEXT COLLATE "C" NOT NULL,
    reason     TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    granted_by TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX operator_access_by_operator ON operator_access (operator, expires_at) WHERE revoked_at IS NULL;

-- Sessions and one-time links, by the hash of their secret. A session without subject is an administrator's.
CREATE TABLE sessions (
    hash       BYTEA PRIMARY KEY,
    kind       TEXT COLLATE "C" NOT NULL,
    name       TEXT NOT NULL,
    subject    TEXT COLLATE "C",
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_subject ON sessions (subject, expires_at) WHERE subject IS NOT NULL;

-- Every change of anything above and of every setting, written with it. Nothing in it is ever changed; rows go when they
-- are too old. changes is a list of fields, without secrets.
CREATE TABLE audit (
    seq       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace TEXT COLLATE "C" NOT NULL,
    at        BIGINT NOT NULL,
    actor     TEXT COLLATE "C" NOT NULL,
    role      TEXT COLLATE "C" NOT NULL,
    action    TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    target    TEXT COLLATE "C" NOT NULL,
    version   BIGINT NOT NULL,
    reason    TEXT NOT NULL,
    changes   BYTEA NOT NULL
);
CREATE INDEX audit_by_workspace ON audit (workspace, seq);
CREATE INDEX audit_by_target ON audit (workspace, kind, target, version);
CREATE INDEX audit_by_time ON audit (at);

-- +goose StatementBegin
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
